//! Turns the text of a key into a caller.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use wharf_model::{ApiKeyId, Clock, Network, Timestamp};
use wharf_storage::api_keys::{self, KeyUsage};
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
    expires_at: Option<Timestamp>,
    revoked: bool,
    ranges: Option<Vec<AddressRange>>,
}

/// Reads, checks and counts keys.
#[derive(Debug)]
pub(crate) struct Authenticator {
    storage: Storage,
    clock: Arc<dyn Clock>,
    network: Network,
    cache: Cache<KeyHash, Arc<Known>>,
    /// Counts the times that the cache was emptied: what was read before is not put into it afterwards.
    emptied: AtomicU64,
    usage: Usage,
}

impl Authenticator {
    pub(crate) fn new(storage: Storage, clock: Arc<dyn Clock>, network: Network) -> Self {
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
    pub(crate) async fn caller(&self, text: &str, address: IpAddr) -> Result<Caller, ApiError> {
        let key = ApiKey::parse(text, self.network).map_err(|error| match error {
            KeyError::Malformed => ApiError::ApiKeyMalformed,
            KeyError::OtherNetwork => ApiError::ApiKeyWrongNetwork,
        })?;
        let known = self.known(key.hash()).await?;
        known.check(self.clock.now(), address)?;
        self.usage.note(known.id, self.clock.now());
        Ok(known.caller.clone())
    }

    async fn known(&self, hash: KeyHash) -> Result<Arc<Known>, ApiError> {
        if let Some(known) = self.cache.get(&hash).await {
            return Ok(known);
        }
        let emptied = self.emptied.load(Ordering::SeqCst);
        let row = self
            .storage
            .glance(move |tx| Box::pin(async move { api_keys::find_by_hash(tx, &hash).await }))
            .await?;
        let known = Arc::new(Known::from_row(row.ok_or(ApiError::ApiKeyUnknown)?)?);
        self.cache.insert(hash, Arc::clone(&known)).await;
        if self.emptied.load(Ordering::SeqCst) != emptied {
            self.cache.invalidate(&hash).await;
        }
        Ok(known)
    }

    /// Whether the key of a caller still opens doors; streams ask now and then.
    pub(crate) async fn is_valid(&self, caller: &Caller) -> Result<bool, ApiError> {
        let (workspace, Some(id)) = (caller.workspace(), caller.key_id()) else {
            return Ok(true);
        };
        let row = self
            .storage
            .glance(move |tx| Box::pin(async move { api_keys::get(tx, workspace, id).await }))
            .await?;
        let now = self.clock.now();
        Ok(row.is_some_and(|key| key.revoked_at.is_none() && key.expires_at.is_none_or(|at| now < at)))
    }

    /// Forgets what is cached, after a key was revoked.
    pub(crate) fn forget(&self) {
        self.emptied.fetch_add(1, Ordering::SeqCst);
        self.cache.invalidate_all();
    }

    /// Uses of a key that are not written yet.
    pub(crate) fn pending_usage(&self, key: ApiKeyId) -> Option<KeyUsage> {
        self.usage.pending(key)
    }

    /// Writes the uses counted since the last time, in one unit of work.
    pub(crate) async fn flush_usage(&self) -> Result<(), StorageError> {
        let batch = self.usage.take();
        if batch.is_empty() {
            return Ok(());
        }
        let write = batch.clone();
        let written = self
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { api_keys::record_usage(tx, &write).await })
            })
            .await;
        if written.is_err() {
            self.usage.put_back(batch);
        }
        written
    }
}

impl Known {
    fn from_row(row: api_keys::ApiKey) -> Result<Self, ApiError> {
        // A scope of a later version grants nothing here; an unreadable address list must not open the key to all.
        let scopes = row.scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
        let ranges = row
            .ips
            .map(|ips| ips.iter().map(|range| range.parse()).collect::<Result<Vec<_>, _>>())
            .transpose()
            .map_err(ApiError::internal)?;
        Ok(Self {
            caller: Caller::key(row.workspace_id, row.id, scopes, row.sessions),
            id: row.id,
            expires_at: row.expires_at,
            revoked: row.revoked_at.is_some(),
            ranges,
        })
    }

    fn check(&self, now: Timestamp, address: IpAddr) -> Result<(), ApiError> {
        if self.revoked {
            return Err(ApiError::ApiKeyRevoked);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(ApiError::ApiKeyExpired);
        }
        match &self.ranges {
            Some(ranges) if !ranges.iter().any(|range| range.contains(address)) => Err(ApiError::AddressNotAllowed),
            _ => Ok(()),
        }
    }
}
