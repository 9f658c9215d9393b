//! What is done with keys, as whole units of work: the change, and the entry of the audit log that tells of it. Promises that
//! neither is stored without the other, and that what changes nothing leaves no entry. The functions beside this module change
//! rows and note nothing.

use wharf_model::{ApiKeyId, PlanId, SessionId, Timestamp, WorkspaceId};

use super::{ApiKey, NewApiKey, Rotation};
use crate::audit::{self, Action, AuditEntry, Requester};
use crate::error::StorageError;
use crate::sessions;
use crate::unit::tx::{ReadTx, Tx};

/// Which key is changed, and by whom.
#[derive(Clone, Debug)]
pub struct KeyChange {
    /// Whose key it is.
    pub workspace: WorkspaceId,
    /// Which one.
    pub key: ApiKeyId,
    /// Who asks.
    pub by: Requester,
}

/// Why a key is not made: it would silently allow nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    /// It would never work.
    #[error("the key would have expired already")]
    Expired,
    /// It would be for a session that the workspace does not have.
    #[error("there is no session {id}")]
    UnknownSession {
        /// Its place in the list, from 0.
        index: usize,
        /// Its id.
        id: SessionId,
    },
}

/// Makes a key, as [`super::insert`] does, where it would be of use.
///
/// # Errors
/// A rejection with [`NotIssued`] when it would not; [`StorageError::Conflict`] when the hash or id is taken,
/// [`StorageError::NotFound`] with `plan` when the workspace has no such plan.
pub async fn issue(tx: &mut Tx, new: &NewApiKey, by: &Requester) -> Result<ApiKey, StorageError> {
    require_use(tx, new).await?;
    super::insert(tx, new).await?;
    let change = KeyChange {
        workspace: new.workspace_id,
        key: new.id,
        by: by.clone(),
    };
    note(tx, change, Action::ApiKeyCreated, new.created_at).await?;
    let stored = super::get(tx, new.workspace_id, new.id).await?;
    stored.ok_or(StorageError::NotFound("API key"))
}

/// Gives a key a new text, as [`super::rotate`] does.
///
/// # Errors
/// Those of [`super::rotate`].
pub async fn rotate(tx: &mut Tx, change: KeyChange, rotation: &Rotation) -> Result<ApiKey, StorageError> {
    let key = super::rotate(tx, change.workspace, change.key, rotation).await?;
    note(tx, change, Action::ApiKeyRotated, rotation.at).await?;
    Ok(key)
}

/// Revokes a key, as [`super::revoke`] does. Of one that was revoked before nothing is noted.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such key.
pub async fn revoke(tx: &mut Tx, change: KeyChange, now: Timestamp) -> Result<(), StorageError> {
    if super::revoke(tx, change.workspace, change.key, now).await? {
        note(tx, change, Action::ApiKeyRevoked, now).await?;
    }
    Ok(())
}

/// Gives a key another plan, or none, as [`super::set_plan`] does.
///
/// # Errors
/// [`StorageError::NotFound`] with `plan` or `API key` when the workspace has no such.
pub async fn set_plan(
    tx: &mut Tx,
    change: KeyChange,
    plan: Option<PlanId>,
    now: Timestamp,
) -> Result<(), StorageError> {
    super::set_plan(tx, change.workspace, change.key, plan, now).await?;
    note(tx, change, Action::ApiKeyChanged, now).await
}

async fn require_use(tx: &mut ReadTx, new: &NewApiKey) -> Result<(), StorageError> {
    if new.expires_at.is_some_and(|at| at <= new.created_at) {
        return Err(StorageError::rejected(NotIssued::Expired));
    }
    for (index, &id) in new.sessions.iter().flatten().enumerate() {
        if sessions::get(tx, new.workspace_id, id).await?.is_none() {
            return Err(StorageError::rejected(NotIssued::UnknownSession { index, id }));
        }
    }
    Ok(())
}

async fn note(tx: &mut Tx, change: KeyChange, action: Action, at: Timestamp) -> Result<(), StorageError> {
    let entry = AuditEntry {
        workspace: change.workspace,
        at,
        by: change.by,
        action,
        session: None,
        api_key: Some(change.key),
        plan: None,
    };
    audit::append(tx, Some(&entry)).await
}
