//! Rows: hashed keys, sealed values, units of work that end the backend when they fail.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wacore::store::error::{Result, StoreError};
use wharf_model::Timestamp;
use wharf_storage::wa_state::{self, StateRow};
use wharf_storage::{Queue, SealError, SessionKeys, StorageError, Tx};

use super::WaBackend;

/// A write was refused because an earlier one failed.
#[derive(Debug, thiserror::Error)]
#[error("an earlier write of this session's protocol state failed: nothing more is written")]
pub(super) struct Poisoned;

/// What a row holds beside key and value.
#[derive(Clone, Debug, Default)]
pub(super) struct Extras {
    pub(super) owner: Option<Vec<u8>>,
    pub(super) rank: Option<i64>,
    pub(super) expires_at: Option<Timestamp>,
}

impl Extras {
    pub(super) fn owner(owner: Vec<u8>) -> Self {
        Self {
            owner: Some(owner),
            ..Self::default()
        }
    }

    pub(super) fn rank(rank: i64) -> Self {
        Self {
            rank: Some(rank),
            ..Self::default()
        }
    }

    pub(super) fn expires(at: Timestamp) -> Self {
        Self {
            expires_at: Some(at),
            ..Self::default()
        }
    }
}

/// What stands in column `key` or `owner` for texts. Lengths keep `("ab", "c")` apart from `("a", "bc")`.
pub(super) fn blind(keys: &SessionKeys, kind: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    keys.blind_state(kind, &joined).as_bytes().to_vec()
}

/// A row with its value sealed.
pub(super) fn seal(
    keys: &SessionKeys,
    kind: &str,
    key: Vec<u8>,
    extras: Extras,
    plain: &[u8],
) -> std::result::Result<StateRow, SealError> {
    let value = keys.seal_state(kind, &key, plain)?;
    let Extras {
        owner,
        rank,
        expires_at,
    } = extras;
    Ok(StateRow {
        kind: kind.to_owned(),
        key,
        owner,
        rank,
        expires_at,
        value,
    })
}

/// The value of a row, opened.
pub(super) fn open(keys: &SessionKeys, row: &StateRow) -> std::result::Result<Vec<u8>, SealError> {
    keys.open_state(&row.kind, &row.key, &row.value)
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Serialization(Box::new(error)))
}

/// The engine's word for storage's.
pub(super) fn failed(error: StorageError) -> StoreError {
    StoreError::Database(Box::new(error))
}

pub(super) fn sealing(error: SealError) -> StoreError {
    StoreError::Database(Box::new(StorageError::from(error)))
}

impl WaBackend {
    pub(super) fn blind(&self, kind: &str, parts: &[&[u8]]) -> Vec<u8> {
        blind(&self.keys, kind, parts)
    }

    pub(super) fn seal(&self, kind: &str, key: Vec<u8>, extras: Extras, plain: &[u8]) -> Result<StateRow> {
        seal(&self.keys, kind, key, extras, plain).map_err(sealing)
    }

    pub(super) fn open(&self, row: &StateRow) -> Result<Vec<u8>> {
        open(&self.keys, row).map_err(sealing)
    }

    /// Runs a unit of work. One that fails ends this backend.
    pub(super) async fn write<T, F>(&self, queue: Queue, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, std::result::Result<T, StorageError>> + Send + 'static,
    {
        if self.is_poisoned() {
            return Err(StoreError::Database(Box::new(Poisoned)));
        }
        self.storage.write(queue, work).await.map_err(|error| {
            tracing::error!(
                session.id = %self.fence.session,
                error = &error as &dyn std::error::Error,
                "A write of protocol state failed; this client writes nothing more"
            );
            self.poisoned.send_replace(true);
            failed(error)
        })
    }

    pub(super) async fn get(&self, kind: &'static str, key: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let session = self.fence.session;
        let row = self
            .storage
            .glance(move |tx| Box::pin(async move { wa_state::get(tx, session, kind, &key).await }))
            .await
            .map_err(failed)?;
        row.map(|row| self.open(&row)).transpose()
    }

    pub(super) async fn get_many(&self, kind: &'static str, keys: Vec<Vec<u8>>) -> Result<Vec<StateRow>> {
        let session = self.fence.session;
        self.storage
            .read(move |tx| Box::pin(async move { wa_state::get_many(tx, session, kind, &keys).await }))
            .await
            .map_err(failed)
    }

    /// The opened values of every row of a kind.
    pub(super) async fn list(&self, kind: &'static str) -> Result<Vec<Vec<u8>>> {
        let session = self.fence.session;
        let rows = self
            .storage
            .read(move |tx| Box::pin(wa_state::list(tx, session, kind)))
            .await
            .map_err(failed)?;
        rows.iter().map(|row| self.open(row)).collect()
    }

    /// The opened values of every row of a kind and owner, highest rank first.
    pub(super) async fn list_by_owner(&self, kind: &'static str, owner: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        let session = self.fence.session;
        let rows = self
            .storage
            .read(move |tx| Box::pin(async move { wa_state::list_by_owner(tx, session, kind, &owner).await }))
            .await
            .map_err(failed)?;
        rows.iter().map(|row| self.open(row)).collect()
    }

    pub(super) async fn put(&self, queue: Queue, row: StateRow) -> Result<()> {
        let fence = self.fence;
        self.write(queue, move |tx| {
            Box::pin(async move { wa_state::put(tx, &fence, &row).await })
        })
        .await
    }

    /// All rows or none, in one unit of work.
    pub(super) async fn put_many(&self, queue: Queue, rows: Vec<StateRow>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let fence = self.fence;
        self.write(queue, move |tx| {
            Box::pin(async move { wa_state::put_many(tx, &fence, &rows).await })
        })
        .await
    }

    pub(super) async fn delete(&self, queue: Queue, kind: &'static str, key: Vec<u8>) -> Result<()> {
        self.delete_many(queue, kind, vec![key]).await
    }

    pub(super) async fn delete_many(&self, queue: Queue, kind: &'static str, keys: Vec<Vec<u8>>) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let fence = self.fence;
        self.write(queue, move |tx| {
            Box::pin(async move { wa_state::delete_many(tx, &fence, kind, &keys).await.map(drop) })
        })
        .await
    }

    /// Deletes what expired at or before `at`; says how many, as far as the engine can count.
    pub(super) async fn delete_expired(&self, queue: Queue, kind: &'static str, at: Timestamp) -> Result<u32> {
        let fence = self.fence;
        let deleted = self.write(queue, move |tx| {
            Box::pin(async move { wa_state::delete_expired(tx, &fence, kind, at).await })
        });
        Ok(u32::try_from(deleted.await?).unwrap_or(u32::MAX))
    }

    pub(super) fn shared_keys(&self) -> Arc<SessionKeys> {
        Arc::clone(&self.keys)
    }
}
