//! How soon a run may end so that WhatsApp delivers a message again: at once, and then after ever longer pauses. A
//! sender can make messages that pass for lost, and a message may be such that it can never be stored; neither may
//! keep the session from its connection.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wharf_model::{SessionId, Timestamp};

const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);
/// After this long without such an end the next one comes at once again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * 3600);

/// Of every session whose runs ended for this; outlives clients.
#[derive(Debug, Default)]
pub(crate) struct RedeliveryPace {
    sessions: Mutex<HashMap<SessionId, Ends>>,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    count: u32,
    last: Timestamp,
}

impl RedeliveryPace {
    /// How long the run goes on before it ends.
    pub(crate) fn pause(&self, session: SessionId, now: Timestamp) -> Duration {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, ends| now.since(ends.last) < FORGOTTEN_AFTER);
        let ends = sessions.entry(session).or_insert(Ends { count: 0, last: now });
        let pause = match ends.count.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(LONGEST_PAUSE),
        };
        ends.count = ends.count.saturating_add(1);
        ends.last = now + pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_model::SystemEdges;

    #[test]
    fn the_first_end_comes_at_once_and_the_next_ones_ever_later() {
        let pace = RedeliveryPace::default();
        let session = SessionId::generate(&SystemEdges, &SystemEdges);
        let now = Timestamp::from_secs(1_000_000);
        let pauses: Vec<_> = (0..40).map(|_| pace.pause(session, now).as_secs()).collect();
        assert_eq!(pauses[..5], [0, 10, 20, 40, 80]);
        assert_eq!(pauses[39], LONGEST_PAUSE.as_secs());
        let other = SessionId::generate(&SystemEdges, &SystemEdges);
        assert_eq!(pace.pause(other, now), Duration::ZERO);
        let later = now + LONGEST_PAUSE + FORGOTTEN_AFTER;
        assert_eq!(pace.pause(session, later), Duration::ZERO);
    }
}
