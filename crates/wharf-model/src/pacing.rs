//! How fast a session may send. The pacer in `wharf-session` obeys this policy; the numbers are per session.

use std::time::Duration;

/// Limits on one session's sending. The defaults are those of `docs`: 20 messages a minute with gaps of 1 to 5 s,
/// 6 s per recipient, 50 new chats a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacingPolicy {
    /// Messages a minute, all lanes together; 0 means no limit and needs `unsafe_open`.
    pub per_minute: u32,
    /// The shortest random gap between two sends.
    pub gap_min: Duration,
    /// The longest random gap between two sends.
    pub gap_max: Duration,
    /// The shortest time between two sends to one recipient.
    pub per_recipient: Duration,
    /// Chats that may be opened in 24 hours; lane `otp` is exempt.
    pub new_chats_per_day: u32,
    /// Takes every limit away. For tests and for people who know what WhatsApp does to accounts that rush.
    pub unsafe_open: bool,
}

impl Default for PacingPolicy {
    fn default() -> Self {
        Self {
            per_minute: 20,
            gap_min: Duration::from_secs(1),
            gap_max: Duration::from_secs(5),
            per_recipient: Duration::from_secs(6),
            new_chats_per_day: 50,
            unsafe_open: false,
        }
    }
}

/// A policy that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacingError {
    /// The longest gap is shorter than the shortest.
    #[error("gap_max must not be shorter than gap_min")]
    GapOrder,
    /// No limit at all without saying so.
    #[error("per_minute = 0 takes the rate limit away and needs unsafe_open = true")]
    OpenWithoutSaying,
    /// A pause longer than a day would look like a fault.
    #[error("a gap must not be longer than 24 hours")]
    TooLong,
}

impl PacingPolicy {
    /// A policy without any limit.
    pub fn open() -> Self {
        Self {
            unsafe_open: true,
            ..Self::default()
        }
    }

    /// Whether the policy makes sense.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), PacingError> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        if self.gap_max < self.gap_min {
            return Err(PacingError::GapOrder);
        }
        if self.gap_max > DAY || self.per_recipient > DAY {
            return Err(PacingError::TooLong);
        }
        if self.per_minute == 0 && !self.unsafe_open {
            return Err(PacingError::OpenWithoutSaying);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_sound() {
        assert_eq!(PacingPolicy::default().check(), Ok(()));
    }

    #[test]
    fn a_policy_cannot_be_opened_by_accident() {
        let policy = PacingPolicy {
            per_minute: 0,
            ..PacingPolicy::default()
        };
        assert_eq!(policy.check(), Err(PacingError::OpenWithoutSaying));
    }
}
