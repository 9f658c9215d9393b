//! The count of failed tries, and the guard against a server that asks for a restart for ever. Pure.
//!
//! The state machine forgets the count when a login succeeds; a server that accepts and drops at once would then be
//! dialled every second. The count survives here until a connection was ready for a while.

use wharf_model::{CloseReason, SessionState};

/// How many restarts in a row are believed to be the one that follows linking.
const RESTARTS: u32 = 5;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    failed: u32,
    restarts: u32,
}

impl Attempts {
    /// The state to feed a close to: one that remembers the tries before the last login.
    pub(crate) const fn before_close(self, state: SessionState, reason: CloseReason) -> SessionState {
        match state {
            SessionState::Authenticated | SessionState::Ready
                if self.failed > 0 && !matches!(reason, CloseReason::RestartRequired) =>
            {
                SessionState::Disconnected {
                    reason,
                    attempt: self.failed,
                    next_attempt_at: None,
                }
            }
            other => other,
        }
    }

    /// What a close reason counts as.
    pub(crate) fn judge(&mut self, reason: CloseReason) -> CloseReason {
        if reason != CloseReason::RestartRequired {
            return reason;
        }
        self.restarts += 1;
        if self.restarts > RESTARTS {
            CloseReason::ConnectionLost
        } else {
            reason
        }
    }

    /// After a transition: keeps the count that the new state holds.
    pub(crate) const fn note(&mut self, state: SessionState) {
        if let SessionState::Disconnected { attempt, .. } = state {
            self.failed = attempt;
        }
    }

    /// The connection held, or a person asked: the count starts anew.
    pub(crate) const fn clear(&mut self) {
        self.failed = 0;
        self.restarts = 0;
    }
}

#[cfg(test)]
mod tests {
    use wharf_model::{Input, Timestamp};

    use super::*;

    fn close(attempts: &mut Attempts, state: SessionState) -> SessionState {
        let reason = CloseReason::ConnectionLost;
        let input = Input::Closed {
            reason,
            now: Timestamp::from_millis(0),
            jitter: 0,
        };
        let (next, _) = attempts.before_close(state, reason).on(input).unwrap();
        attempts.note(next);
        next
    }

    fn attempt(state: SessionState) -> u32 {
        match state {
            SessionState::Disconnected { attempt, .. } => attempt,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_that_accepts_and_drops_is_dialled_more_and_more_slowly() {
        let mut attempts = Attempts::default();
        let counts: Vec<_> = (0..5)
            .map(|_| attempt(close(&mut attempts, SessionState::Ready)))
            .collect();
        assert_eq!(counts, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_connection_that_held_starts_anew() {
        let mut attempts = Attempts::default();
        close(&mut attempts, SessionState::Ready);
        close(&mut attempts, SessionState::Ready);
        attempts.clear();
        assert_eq!(attempt(close(&mut attempts, SessionState::Ready)), 1);
    }

    #[test]
    fn an_endless_restart_becomes_a_lost_connection() {
        let mut attempts = Attempts::default();
        let judged: Vec<_> = (0..6).map(|_| attempts.judge(CloseReason::RestartRequired)).collect();
        assert_eq!(judged[4], CloseReason::RestartRequired);
        assert_eq!(judged[5], CloseReason::ConnectionLost);
    }
}
