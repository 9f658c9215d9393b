//! Notices a clock that was set back: rows then have times that it only comes to again.

use std::time::Duration;

use tokio::time::Instant;
use wharf_model::Timestamp;

/// A clock that goes back by less is none that was set: a message that was accepted a moment ago is younger than this
/// look.
pub(super) const CLOCK_JITTER: Duration = Duration::from_secs(1);

/// Whoever accepts a message reads the clock and stores it a moment later: so much later at the most, unless the database
/// hangs.
const STORED_WITHIN: Duration = Duration::from_secs(120);

/// What the clock said at the last look at the rows.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    looked_at: Option<Timestamp>,
    /// Until when rows may come that were accepted before the clock went back.
    late_until: Option<Instant>,
}

impl ClockWatch {
    /// Whether there may be rows whose time is ahead: before the first look, when the clock went back since the last one,
    /// and for a while after that.
    pub(super) fn suspects(&mut self, now: Timestamp) -> bool {
        let at = Instant::now();
        if self.looked_at.is_some_and(|looked_at| looked_at > now + CLOCK_JITTER) {
            self.late_until = Some(at + STORED_WITHIN);
        }
        self.late_until = self.late_until.filter(|until| at < *until);
        self.looked_at.is_none() || self.late_until.is_some()
    }

    /// The rows were looked at.
    pub(super) const fn looked(&mut self, now: Timestamp) {
        self.looked_at = Some(now);
    }
}
