//! Which session sends a code that names none: by how its messages arrived lately. Kept in memory: after a start every
//! session is as good as any other.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wharf_model::{Random, SessionId, Timestamp};

/// How much the last delivery weighs against all before it.
const WEIGHT: f64 = 0.1;

/// Sessions whose messages arrive almost as well as those of the best are as good: they share the work.
const AS_GOOD: f64 = 0.05;

#[derive(Clone, Copy, Debug)]
struct Health {
    /// The share of messages that arrived, the last ones weighing most.
    arrived: f64,
    /// WhatsApp lets it write to nobody new until then.
    locked_until: Option<Timestamp>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            arrived: 1.0,
            locked_until: None,
        }
    }
}

/// What is known of sessions.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<HashMap<SessionId, Health>>);

impl Pool {
    /// A message with a code arrived, or nothing was heard of it in time.
    pub(crate) fn note(&self, session: SessionId, arrived: bool) {
        let mut known = self.lock();
        let health = known.entry(session).or_default();
        let now = if arrived { 1.0 } else { 0.0 };
        health.arrived += WEIGHT * (now - health.arrived);
    }

    /// WhatsApp lets a session write to nobody new until then.
    pub(crate) fn note_time_lock(&self, session: SessionId, until: Timestamp) {
        self.lock().entry(session).or_default().locked_until = Some(until);
    }

    /// One of the best. `None`: there are none, or all are locked.
    pub(crate) fn choose(&self, among: &[SessionId], now: Timestamp, random: &dyn Random) -> Option<SessionId> {
        let known = self.lock();
        let free: Vec<_> = among
            .iter()
            .map(|session| (*session, known.get(session).copied().unwrap_or_default()))
            .filter(|(_, health)| health.locked_until.is_none_or(|until| until <= now))
            .collect();
        drop(known);
        let best = free.iter().map(|(_, health)| health.arrived).fold(0.0, f64::max);
        let good: Vec<_> = free
            .into_iter()
            .filter(|(_, health)| health.arrived >= best - AS_GOOD)
            .collect();
        let count = u64::try_from(good.len()).unwrap_or(0);
        let place = usize::try_from(random.below(count)).unwrap_or(0);
        good.get(place).map(|(session, _)| *session)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Health>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf_model::{Clock as _, SystemEdges};

    use super::*;

    fn sessions() -> [SessionId; 2] {
        [(); 2].map(|()| SessionId::generate(&SystemEdges, &SystemEdges))
    }

    #[test]
    fn the_session_whose_messages_arrive_is_chosen() {
        let (pool, [good, bad], now) = (Pool::default(), sessions(), SystemEdges.now());
        pool.note(good, true);
        pool.note(bad, false);
        for _ in 0..20 {
            assert_eq!(pool.choose(&[bad, good], now, &SystemEdges), Some(good));
        }
        (0..40).for_each(|_| pool.note(bad, true));
        let chosen: std::collections::HashSet<_> = (0..200)
            .filter_map(|_| pool.choose(&[bad, good], now, &SystemEdges))
            .collect();
        assert_eq!(chosen.len(), 2, "they share the work again");
    }

    #[test]
    fn a_session_that_whatsapp_holds_back_is_passed_over() {
        let (pool, [locked, free], now) = (Pool::default(), sessions(), SystemEdges.now());
        let hour = Duration::from_secs(3600);
        pool.note_time_lock(locked, now + hour);
        assert_eq!(pool.choose(&[locked, free], now, &SystemEdges), Some(free));
        assert_eq!(pool.choose(&[locked], now, &SystemEdges), None);
        assert_eq!(pool.choose(&[locked], now + hour, &SystemEdges), Some(locked));
        assert_eq!(pool.choose(&[], now, &SystemEdges), None);
    }
}
