//! Rotation: the two texts that a key can have.

use wharf_model::{ApiKeyId, Timestamp, WorkspaceId};

use super::{ApiKey, get};
use crate::driver::value::params;
use crate::error::StorageError;
use crate::unit::tx::Tx;

/// A new text for a key.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The part that may be shown.
    pub prefix: String,
    /// SHA-256 of the whole text.
    pub hash: [u8; 32],
    /// Which text it takes the place of.
    pub replaces: Replaces,
    /// Now.
    pub at: Timestamp,
}

/// Which text of a key a new one takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// The one that programs use, which works on until then; the one before it ends now.
    InUse {
        /// Until when the text works that the key has now.
        until: Timestamp,
    },
    /// The one of the last rotation, which nobody received: it ends now, and the one before it works for as long as it was
    /// to work anyway.
    Latest,
}

/// Why a key gets no new text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRotated {
    /// It opens nothing any more.
    #[error("the key was revoked or has expired")]
    Ended,
    /// To replace the latest text would end the only one that programs have.
    #[error("no text works any more that the key had before its last rotation")]
    NoOverlap,
}

/// Gives a key a new text. No text outlives its key.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such key, [`StorageError::Conflict`] when the hash is taken; a
/// rejection with [`NotRotated`] when the key stays as it is.
pub async fn rotate(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: ApiKeyId,
    rotation: &Rotation,
) -> Result<ApiKey, StorageError> {
    let changed = match rotation.replaces {
        Replaces::InUse { until } => replace_in_use(tx, workspace, id, rotation, until).await?,
        Replaces::Latest => replace_latest(tx, workspace, id, rotation).await?,
    };
    let key = get(tx, workspace, id).await?;
    let key = key.ok_or(StorageError::NotFound("API key"))?;
    if changed == 1 {
        return Ok(key);
    }
    let has_ended = key.revoked_at.is_some() || key.expires_at.is_some_and(|at| at <= rotation.at);
    Err(StorageError::rejected(if has_ended {
        NotRotated::Ended
    } else {
        NotRotated::NoOverlap
    }))
}

async fn replace_in_use(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: ApiKeyId,
    rotation: &Rotation,
    until: Timestamp,
) -> Result<u64, StorageError> {
    tx.execute(
        "update api_keys set previous_hash = hash, hash = $4, prefix = $3, updated_at = $6,
             previous_until = case when expires_at < $5 then expires_at else $5 end
         where workspace_id = $1 and id = $2 and revoked_at is null and (expires_at is null or expires_at > $6)",
        params![&workspace, &id, &rotation.prefix, &rotation.hash, until, rotation.at],
    )
    .await
}

async fn replace_latest(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: ApiKeyId,
    rotation: &Rotation,
) -> Result<u64, StorageError> {
    tx.execute(
        "update api_keys set hash = $4, prefix = $3, updated_at = $5
         where workspace_id = $1 and id = $2 and revoked_at is null and (expires_at is null or expires_at > $5)
             and previous_until > $5",
        params![&workspace, &id, &rotation.prefix, &rotation.hash, rotation.at],
    )
    .await
}
