//! Turns the text of a key into a caller.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use wharf_model::{ApiKeyId, Clock, Day, Network, Timestamp};
use wharf_storage::api_keys::{self, FoundKey, KeyUsage};
use wharf_storage::usage::{self, Allowance, DayUsage, Resource, Used};
use wharf_storage::{Queue, Storage, StorageError};

use super::Caller;
use super::usage::Usage;
use crate::address::AddressRange;
use crate::error::ApiError;
use crate::keys::{ApiKey, KeyError, KeyHash};

/// How long a key may be believed without a look. Revocation through this API is at once; this bounds the rest.
const CACHED_FOR: Duration = Duration::from_secs(1);
const CACHED_KEYS: u64 = 10_000;

/// What a key allows, read once and used often.
#[derive(Debug)]
struct Known {
    caller: Caller,
    id: ApiKeyId,
    life: Life,
    ranges: Option<Vec<AddressRange>>,
}

/// How long a text of a key opens doors.
#[derive(Clone, Copy, Debug)]
struct Life {
    revoked: bool,
    expires_at: Option<Timestamp>,
    /// When the text ends, where the key has a newer one.
    text_until: Option<Timestamp>,
}

/// Reads, checks and counts keys.
#[derive(Debug)]
pub struct Authenticator {
    storage: Storage,
    clock: Arc<dyn Clock>,
    network: Network,
    cache: Cache<KeyHash, Arc<Known>>,
    /// Counts the times that the cache was emptied: what was read before is not put into it afterwards.
    emptied: AtomicU64,
    usage: Usage,
}

impl Authenticator {
    /// One that knows no key yet.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>, network: Network) -> Self {
        let cache = Cache::builder()
            .max_capacity(CACHED_KEYS)
            .time_to_live(CACHED_FOR)
            .build();
        Self {
            storage,
            clock,
            network,
            cache,
            emptied: AtomicU64::new(0),
            usage: Usage::default(),
        }
    }

    /// The caller with this key, calling from this address. Counts the use.
    ///
    /// # Errors
    /// Why the key is not accepted, or that storage failed.
    pub async fn caller(&self, text: &str, address: IpAddr) -> Result<Caller, ApiError> {
        let known = self.known(self.hash_of(text)?).await?;
        known.life.check(self.clock.now())?;
        known.require_address(address)?;
        self.usage.note(known.id, self.clock.now());
        Ok(known.caller.clone())
    }

    /// The caller with this key, wherever he calls from: for who may end the key and do nothing else. It is no use.
    ///
    /// # Errors
    /// Why the key is not accepted, or that storage failed.
    pub(crate) async fn holder(&self, text: &str) -> Result<Caller, ApiError> {
        let known = self.known(self.hash_of(text)?).await?;
        known.life.check(self.clock.now())?;
        Ok(known.caller.clone())
    }

    fn hash_of(&self, text: &str) -> Result<KeyHash, ApiError> {
        let key = ApiKey::parse(text, self.network).map_err(|error| match error {
            KeyError::Malformed => ApiError::ApiKeyMalformed,
            KeyError::OtherNetwork => ApiError::ApiKeyWrongNetwork,
        })?;
        Ok(key.hash())
    }

    async fn known(&self, hash: KeyHash) -> Result<Arc<Known>, ApiError> {
        if let Some(known) = self.cache.get(&hash).await {
            return Ok(known);
        }
        let emptied = self.emptied.load(Ordering::SeqCst);
        let found = self.find(hash).await?.ok_or(ApiError::ApiKeyUnknown)?;
        let known = Arc::new(Known::new(found, hash)?);
        self.cache.insert(hash, Arc::clone(&known)).await;
        if self.emptied.load(Ordering::SeqCst) != emptied {
            self.cache.invalidate(&hash).await;
        }
        Ok(known)
    }

    async fn find(&self, hash: KeyHash) -> Result<Option<FoundKey>, ApiError> {
        let found = self
            .storage
            .glance(move |tx| Box::pin(async move { api_keys::find_by_hash(tx, &hash).await }));
        Ok(found.await?)
    }

    /// Whether the text of the key that a caller came with still opens doors; streams ask now and then.
    pub(crate) async fn is_valid(&self, caller: &Caller) -> Result<bool, ApiError> {
        let Some(hash) = caller.text() else {
            return Ok(true);
        };
        let found = self.find(hash).await?;
        let now = self.clock.now();
        Ok(found.is_some_and(|found| Life::of(&found).check(now).is_ok()))
    }

    /// Forgets what is cached, after a key was rotated or revoked, or a plan was changed.
    pub fn forget(&self) {
        self.emptied.fetch_add(1, Ordering::SeqCst);
        self.cache.invalidate_all();
    }

    /// Counts one that was accepted at `at` for a key without a limit to it. Where there is a limit, it was taken in the unit
    /// of work that it was for.
    pub(crate) fn note_used(&self, allowance: Option<Allowance>, resource: Resource, at: Timestamp) {
        let Some(allowance) = allowance.filter(|allowance| allowance.limit(resource).is_none()) else {
            return;
        };
        self.usage.note_used(DayUsage {
            workspace: allowance.workspace,
            key: allowance.key,
            day: Day::of(at),
            used: Used::one(resource),
        });
    }

    /// What a key used on a day and that is not written yet.
    pub(crate) fn pending_used(&self, key: ApiKeyId, day: Day) -> Used {
        self.usage.pending_of(key, day)
    }

    /// Calls with a key that are not written yet.
    pub(crate) fn pending_usage(&self, key: ApiKeyId) -> Option<KeyUsage> {
        self.usage.pending(key)
    }

    /// Writes what was counted since the last time, in one unit of work.
    pub(crate) async fn flush_usage(&self) -> Result<(), StorageError> {
        let batch = self.usage.take();
        if batch.is_empty() {
            return Ok(());
        }
        let write = batch.clone();
        let written = self
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    api_keys::record_usage(tx, &write.calls).await?;
                    usage::record(tx, &write.days).await
                })
            })
            .await;
        if written.is_err() {
            self.usage.put_back(batch);
        }
        written
    }
}

impl Known {
    fn new(found: FoundKey, text: KeyHash) -> Result<Self, ApiError> {
        let life = Life::of(&found);
        let key = found.key;
        // A scope of a later version grants nothing here; an unreadable address list must not open the key to all.
        let scopes = key.scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
        let ranges = key
            .ips
            .map(|ips| ips.iter().map(|range| range.parse()).collect::<Result<Vec<_>, _>>())
            .transpose()
            .map_err(ApiError::internal)?;
        let limits = key.plan.map(|plan| plan.limits).unwrap_or_default();
        Ok(Self {
            caller: Caller::key(key.workspace_id, key.id, scopes, key.sessions)
                .with_text(text)
                .within(limits),
            id: key.id,
            life,
            ranges,
        })
    }

    fn require_address(&self, address: IpAddr) -> Result<(), ApiError> {
        match &self.ranges {
            Some(ranges) if !ranges.iter().any(|range| range.contains(address)) => Err(ApiError::AddressNotAllowed),
            _ => Ok(()),
        }
    }
}

impl Life {
    const fn of(found: &FoundKey) -> Self {
        Self {
            revoked: found.key.revoked_at.is_some(),
            expires_at: found.key.expires_at,
            text_until: found.text_until,
        }
    }

    fn check(self, now: Timestamp) -> Result<(), ApiError> {
        let is_over = |end: Option<Timestamp>| end.is_some_and(|at| at <= now);
        if self.revoked {
            return Err(ApiError::ApiKeyRevoked);
        }
        if is_over(self.expires_at) {
            return Err(ApiError::ApiKeyExpired);
        }
        if is_over(self.text_until) {
            return Err(ApiError::ApiKeyRotated);
        }
        Ok(())
    }
}
