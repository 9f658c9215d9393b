//! Which session sends a code that names none: by how its messages arrived lately. Kept in memory: after a start every
//! session is as good as any other.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharf_model::{Random, SessionId, Timestamp};

/// How much the last delivery weighs against all before it.
const WEIGHT: f64 = 0.1;

/// Sessions whose messages arrive almost as well as those of the best are as good: they share the work.
const AS_GOOD: f64 = 0.05;

/// How long what was noted counts.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug)]
struct Health {
    /// The share of messages that arrived, the last ones weighing most.
    arrived: f64,
    /// When that was noted.
    at: Timestamp,
    /// WhatsApp lets it write to nobody new until then.
    locked_until: Option<Timestamp>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            arrived: 1.0,
            at: Timestamp::from_millis(0),
            locked_until: None,
        }
    }
}

impl Health {
    /// What is old says little: after an hour a session is as good as one that nothing is known of.
    fn at(&self, now: Timestamp) -> f64 {
        let age = now.since(self.at).as_secs_f64() / FORGOTTEN_AFTER.as_secs_f64();
        self.arrived + (1.0 - self.arrived) * age.min(1.0)
    }

    fn is_free(&self, now: Timestamp) -> bool {
        self.locked_until.is_none_or(|until| until <= now)
    }
}

/// What is known of sessions.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<HashMap<SessionId, Health>>);

impl Pool {
    /// A message with a code arrived, or nothing was heard of it in time.
    pub(crate) fn note(&self, session: SessionId, arrived: bool, at: Timestamp) {
        let mut known = self.lock();
        let health = known.entry(session).or_default();
        let now = if arrived { 1.0 } else { 0.0 };
        health.arrived = health.at(at) + WEIGHT * (now - health.at(at));
        health.at = at;
        if arrived {
            health.locked_until = None;
        }
    }

    /// WhatsApp lets a session write to nobody new until then.
    pub(crate) fn note_time_lock(&self, session: SessionId, until: Timestamp) {
        self.lock().entry(session).or_default().locked_until = Some(until);
    }

    /// One of the best; one that is locked when no other is there, because it may still write to those who know it.
    pub(crate) fn choose(&self, among: &[SessionId], now: Timestamp, random: &dyn Random) -> Option<SessionId> {
        let known = self.lock();
        let mut fit: Vec<_> = among
            .iter()
            .map(|session| (*session, known.get(session).copied().unwrap_or_default()))
            .collect();
        drop(known);
        if fit.iter().any(|(_, health)| health.is_free(now)) {
            fit.retain(|(_, health)| health.is_free(now));
        }
        let best = fit.iter().map(|(_, health)| health.at(now)).fold(0.0, f64::max);
        let good: Vec<_> = fit
            .into_iter()
            .filter(|(_, health)| health.at(now) >= best - AS_GOOD)
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
    use wharf_model::{Clock as _, SystemEdges};

    use super::*;

    fn sessions() -> [SessionId; 2] {
        [(); 2].map(|()| SessionId::generate(&SystemEdges, &SystemEdges))
    }

    #[test]
    fn the_session_whose_messages_arrive_is_chosen() {
        let (pool, [good, bad], now) = (Pool::default(), sessions(), SystemEdges.now());
        pool.note(good, true, now);
        pool.note(bad, false, now);
        for _ in 0..20 {
            assert_eq!(pool.choose(&[bad, good], now, &SystemEdges), Some(good));
        }
        let chosen = |now| {
            let choose = |_| pool.choose(&[bad, good], now, &SystemEdges);
            (0..200).filter_map(choose).collect::<std::collections::HashSet<_>>()
        };
        assert_eq!(chosen(now + FORGOTTEN_AFTER).len(), 2, "they share the work again");
        (0..40).for_each(|_| pool.note(bad, true, now));
        assert_eq!(chosen(now).len(), 2, "they share the work again");
    }

    #[test]
    fn a_session_that_whatsapp_holds_back_is_passed_over() {
        let (pool, [locked, free], now) = (Pool::default(), sessions(), SystemEdges.now());
        let hour = Duration::from_secs(3600);
        pool.note_time_lock(locked, now + hour);
        assert_eq!(pool.choose(&[locked, free], now, &SystemEdges), Some(free));
        assert_eq!(
            pool.choose(&[locked], now, &SystemEdges),
            Some(locked),
            "there is no other"
        );
        assert_eq!(pool.choose(&[], now, &SystemEdges), None);
    }
}
