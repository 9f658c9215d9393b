//! API keys: hashes, never the keys. A key that was rotated has two: its own, and the one before for a while. Usage is
//! counted in batches, so that no request waits for its count.

pub mod changes;
mod find;
mod rotation;

pub use find::{FoundKey, Unused, find_by_hash, get, list, list_unused};
pub use rotation::{NotRotated, Replaces, Rotation, rotate};

use wharf_model::{ApiKeyId, PlanId, SessionId, Timestamp, WorkspaceId};

use crate::driver::value::params;
use crate::error::StorageError;
use crate::json;
use crate::plans::{self, PlanLimits};
use crate::postgres::lock::Lock;
use crate::unit::tx::Tx;

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// What its owner calls it.
    pub label: String,
    /// The part that may be shown.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// The addresses that it works from; `None` is everywhere.
    pub ips: Option<Vec<String>>,
    /// The sessions that it may touch; `None` is all.
    pub sessions: Option<Vec<SessionId>>,
    /// What it may use; `None` is whatever it likes.
    pub plan: Option<KeyPlan>,
    /// How often it was used.
    pub usage_count: u64,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// Until when the text works that it had before; `None` when it has had no other.
    pub previous_until: Option<Timestamp>,
}

/// The plan that a key carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlan {
    /// Its id.
    pub id: PlanId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub limits: PlanLimits,
}

/// A key to be stored.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// What its owner calls it.
    pub label: String,
    /// The part that may be shown.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// The addresses that it works from; `None` is everywhere.
    pub ips: Option<Vec<String>>,
    /// The sessions that it may touch; `None` is all.
    pub sessions: Option<Vec<SessionId>>,
    /// The plan that it carries.
    pub plan: Option<PlanId>,
    /// Who makes it.
    pub created_by: Option<String>,
    /// Now.
    pub created_at: Timestamp,
}

/// One key's use since the last batch.
#[derive(Clone, Copy, Debug)]
pub struct KeyUsage {
    /// Which key.
    pub key: ApiKeyId,
    /// How often.
    pub count: u64,
    /// When last.
    pub last_used_at: Timestamp,
}

/// Stores a key.
///
/// # Errors
/// [`StorageError::Conflict`] when the hash or id is taken, [`StorageError::NotFound`] when the workspace has no such plan.
pub async fn insert(tx: &mut Tx, key: &NewApiKey) -> Result<(), StorageError> {
    if let Some(plan) = key.plan {
        plans::hold(tx, key.workspace_id, plan).await?;
    }
    let scopes = json::from_strings(&key.scopes);
    let ips = key.ips.as_deref().map(json::from_strings);
    let sessions = key.sessions.as_deref().map(json::from_displayed);
    tx.execute(
        "insert into api_keys (id, workspace_id, label, prefix, hash, scopes, expires_at, ips, sessions, created_by,
             created_at, updated_at, plan_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)",
        params![
            &key.id,
            &key.workspace_id,
            &key.label,
            &key.prefix,
            &key.hash,
            &scopes,
            key.expires_at,
            &ips,
            &sessions,
            &key.created_by,
            key.created_at,
            key.plan
        ],
    )
    .await?;
    Ok(())
}

/// Revokes a key, with every text that it has. A second call changes nothing, and says so with `false`.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such key.
pub async fn revoke(tx: &mut Tx, workspace: WorkspaceId, id: ApiKeyId, now: Timestamp) -> Result<bool, StorageError> {
    let changed = tx
        .execute(
            "update api_keys set revoked_at = $3, updated_at = $3
             where workspace_id = $1 and id = $2 and revoked_at is null",
            params![&workspace, &id, now],
        )
        .await?;
    if changed == 0 && get(tx, workspace, id).await?.is_none() {
        return Err(StorageError::NotFound("API key"));
    }
    Ok(changed == 1)
}

/// Gives a key another plan, or none.
///
/// # Errors
/// [`StorageError::NotFound`] with `plan` or `API key` when the workspace has no such.
pub async fn set_plan(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: ApiKeyId,
    plan: Option<PlanId>,
    now: Timestamp,
) -> Result<(), StorageError> {
    match plan {
        Some(plan) => drop(plans::hold(tx, workspace, plan).await?),
        None => tx.lock(Lock::Plans).await?,
    }
    let changed = tx
        .execute(
            "update api_keys set plan_id = $3, updated_at = $4 where workspace_id = $1 and id = $2",
            params![&workspace, &id, plan, now],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StorageError::NotFound("API key"))
    }
}

/// Adds a batch of uses.
///
/// # Errors
/// The database failed.
pub async fn record_usage(tx: &mut Tx, batch: &[KeyUsage]) -> Result<(), StorageError> {
    // In the order of their ids, so that no two batches wait for each other.
    let mut batch: Vec<_> = batch.iter().collect();
    batch.sort_unstable_by_key(|usage| usage.key);
    for usage in batch {
        tx.send(
            "update api_keys set usage_count = usage_count + $2,
                 last_used_at = case when last_used_at > $3 then last_used_at else $3 end
             where id = $1",
            params![
                &usage.key,
                i64::try_from(usage.count).unwrap_or(i64::MAX),
                usage.last_used_at
            ],
        )
        .await?;
    }
    Ok(())
}
