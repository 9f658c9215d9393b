//! Which messages go first.

use std::fmt;
use std::str::FromStr;

/// The order in which a session's waiting messages are sent: all of `Otp` before `Interactive` before `Campaign`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// One-time passwords: somebody is waiting at a sign-in form.
    Otp,
    /// What an application sends one by one.
    Interactive,
    /// Bulk sends, paced most carefully.
    Campaign,
}

impl Lane {
    /// Every lane, first to go first.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Interactive, Self::Campaign];

    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Interactive => "interactive",
            Self::Campaign => "campaign",
        }
    }

    /// The number that storage sorts by; lower goes first.
    pub const fn rank(self) -> i64 {
        match self {
            Self::Otp => 0,
            Self::Interactive => 1,
            Self::Campaign => 2,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Lane {
    type Err = UnknownLane;

    fn from_str(text: &str) -> Result<Self, UnknownLane> {
        Self::ALL
            .into_iter()
            .find(|lane| lane.as_str() == text)
            .ok_or(UnknownLane)
    }
}

/// A lane name that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown lane: expected `otp`, `interactive` or `campaign`")]
pub struct UnknownLane;
