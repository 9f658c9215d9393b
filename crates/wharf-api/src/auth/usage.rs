//! Counts the use of keys in memory, so that a read causes no write.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wharf_model::{ApiKeyId, Timestamp};
use wharf_storage::api_keys::KeyUsage;

/// Uses that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Usage {
    counts: Mutex<HashMap<ApiKeyId, KeyUsage>>,
}

impl Usage {
    /// Counts one use.
    pub(super) fn note(&self, key: ApiKeyId, now: Timestamp) {
        self.add(KeyUsage {
            key,
            count: 1,
            last_used_at: now,
        });
    }

    /// What is not written yet of one key.
    pub(super) fn pending(&self, key: ApiKeyId) -> Option<KeyUsage> {
        self.lock().get(&key).copied()
    }

    /// Takes everything, to be written.
    pub(super) fn take(&self) -> Vec<KeyUsage> {
        self.lock().drain().map(|(_, usage)| usage).collect()
    }

    /// Gives back what could not be written.
    pub(super) fn put_back(&self, batch: Vec<KeyUsage>) {
        batch.into_iter().for_each(|usage| self.add(usage));
    }

    fn add(&self, usage: KeyUsage) {
        let mut counts = self.lock();
        let held = counts.entry(usage.key).or_insert(KeyUsage { count: 0, ..usage });
        held.count = held.count.saturating_add(usage.count);
        held.last_used_at = held.last_used_at.max(usage.last_used_at);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ApiKeyId, KeyUsage>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
