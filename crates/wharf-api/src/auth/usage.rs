//! Counts the use of keys in memory, so that a read causes no write and that what limits nothing makes nobody wait: rows are
//! written in batches. A crash forgets what was counted since the last one, some seconds of numbers that limit nothing; what a
//! limit counts is written in the unit of work that it is for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wharf_model::{ApiKeyId, Day, Timestamp};
use wharf_storage::api_keys::KeyUsage;
use wharf_storage::usage::{DayUsage, Used};

/// Uses that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Usage {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: HashMap<ApiKeyId, KeyUsage>,
    days: HashMap<(ApiKeyId, Day), DayUsage>,
}

/// What one unit of work writes.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// How often keys called.
    pub calls: Vec<KeyUsage>,
    /// What they used without a limit to it.
    pub days: Vec<DayUsage>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.days.is_empty()
    }
}

impl Usage {
    /// Counts one call.
    pub(super) fn note(&self, key: ApiKeyId, now: Timestamp) {
        self.lock().add_calls(KeyUsage {
            key,
            count: 1,
            last_used_at: now,
        });
    }

    /// Counts what was used.
    pub(super) fn note_used(&self, usage: DayUsage) {
        self.lock().add_day(usage);
    }

    /// The calls that are not written yet of one key.
    pub(super) fn pending(&self, key: ApiKeyId) -> Option<KeyUsage> {
        self.lock().calls.get(&key).copied()
    }

    /// What is not written yet of one key and day.
    pub(super) fn pending_of(&self, key: ApiKeyId, day: Day) -> Used {
        let counts = self.lock();
        counts
            .days
            .get(&(key, day))
            .map_or_else(Used::default, |usage| usage.used)
    }

    /// Takes everything, to be written.
    pub(super) fn take(&self) -> Batch {
        let mut counts = self.lock();
        Batch {
            calls: counts.calls.drain().map(|(_, usage)| usage).collect(),
            days: counts.days.drain().map(|(_, usage)| usage).collect(),
        }
    }

    /// Gives back what could not be written.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut counts = self.lock();
        batch.calls.into_iter().for_each(|usage| counts.add_calls(usage));
        batch.days.into_iter().for_each(|usage| counts.add_day(usage));
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add_calls(&mut self, usage: KeyUsage) {
        let held = self.calls.entry(usage.key).or_insert(KeyUsage { count: 0, ..usage });
        held.count = held.count.saturating_add(usage.count);
        held.last_used_at = held.last_used_at.max(usage.last_used_at);
    }

    fn add_day(&mut self, usage: DayUsage) {
        let none = DayUsage {
            used: Used::default(),
            ..usage
        };
        let held = self.days.entry((usage.key, usage.day)).or_insert(none);
        held.used = held.used.plus(usage.used);
    }
}

#[cfg(test)]
mod tests {
    use wharf_model::{SystemEdges, WorkspaceId};

    use super::*;

    #[test]
    fn what_could_not_be_written_is_kept_and_added_to() {
        let usage = Usage::default();
        let key = ApiKeyId::generate(&SystemEdges, &SystemEdges);
        let (day, now) = (Day::from_number(20_000), Timestamp::from_secs(1));
        let one = DayUsage {
            workspace: WorkspaceId::generate(&SystemEdges, &SystemEdges),
            key,
            day,
            used: Used { messages: 1, otps: 0 },
        };
        usage.note(key, now);
        usage.note_used(one);
        let batch = usage.take();
        assert!(usage.take().is_empty());
        usage.note_used(one);
        usage.put_back(batch);
        assert_eq!(usage.pending_of(key, day), Used { messages: 2, otps: 0 });
        assert_eq!(usage.pending_of(key, day.before(1)), Used::default());
        assert_eq!(usage.pending(key).unwrap().count, 1);
    }
}
