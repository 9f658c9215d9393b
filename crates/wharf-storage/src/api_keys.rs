//! API keys: hashes, never the keys. Usage is counted in batches, so that no request waits for its count.

use subtle::ConstantTimeEq;
use wharf_model::{ApiKeyId, SessionId, Timestamp, WorkspaceId};

use crate::cursor::{Page, PageRequest};
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::json;
use crate::unit::tx::{ReadTx, Tx};

const LIST: &str = "api_keys";

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
/// [`StorageError::Conflict`] when the hash or id is taken.
pub async fn insert(tx: &mut Tx, key: &NewApiKey) -> Result<(), StorageError> {
    let scopes = json::from_strings(&key.scopes);
    let ips = key.ips.as_deref().map(json::from_strings);
    let sessions = key.sessions.as_deref().map(json::from_displayed);
    tx.execute(
        "insert into api_keys (id, workspace_id, label, prefix, hash, scopes, expires_at, ips, sessions, created_by,
             created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
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
            key.created_at
        ],
    )
    .await?;
    Ok(())
}

macro_rules! columns {
    () => {
        "seq, hash, id, workspace_id, label, prefix, scopes, expires_at, ips, sessions, usage_count, last_used_at,
         revoked_at, created_by, created_at, updated_at"
    };
}

/// The key with this hash, revoked and expired ones too: the caller judges.
///
/// # Errors
/// The database failed.
pub async fn find_by_hash(tx: &mut ReadTx, hash: &[u8; 32]) -> Result<Option<ApiKey>, StorageError> {
    let row = tx
        .first(
            concat!("select ", columns!(), " from api_keys where hash = $1"),
            params![hash],
        )
        .await?;
    let found = row.map(|mut row| read(&mut row)).transpose()?;
    // The index has compared already; this comparison is the one that no timing can shorten.
    Ok(found
        .filter(|(_, stored, _)| bool::from(stored.ct_eq(hash)))
        .map(|(_, _, key)| key))
}

/// One key of a workspace.
///
/// # Errors
/// The database failed.
pub async fn get(tx: &mut ReadTx, workspace: WorkspaceId, id: ApiKeyId) -> Result<Option<ApiKey>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from api_keys where workspace_id = $1 and id = $2"
    );
    let row = tx.first(sql, params![&workspace, &id]).await?;
    Ok(row.map(|mut row| read(&mut row)).transpose()?.map(|(_, _, key)| key))
}

/// The keys of a workspace, newest first.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn list(tx: &mut ReadTx, workspace: WorkspaceId, page: &PageRequest) -> Result<Page<ApiKey>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from api_keys where workspace_id = $1 and seq < $2 order by seq desc limit $3"
    );
    let rows = tx
        .query(sql, params![&workspace, page.below(LIST, workspace)?, page.fetch()])
        .await?;
    let keys = rows
        .into_iter()
        .map(|mut row| read(&mut row).map(|(seq, _, key)| (seq, key)));
    Ok(Page::cut(keys.collect::<Result<_, _>>()?, page, LIST, workspace))
}

/// Revokes a key. A second call keeps the first time.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such key.
pub async fn revoke(tx: &mut Tx, workspace: WorkspaceId, id: ApiKeyId, now: Timestamp) -> Result<(), StorageError> {
    let changed = tx
        .execute(
            "update api_keys set revoked_at = coalesce(revoked_at, $3), updated_at = $3
             where workspace_id = $1 and id = $2",
            params![&workspace, &id, now],
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

fn read(row: &mut Row) -> Result<(i64, [u8; 32], ApiKey), StorageError> {
    let (seq, hash) = (row.take()?, row.take()?);
    let key = ApiKey {
        id: row.take()?,
        workspace_id: row.take()?,
        label: row.take()?,
        prefix: row.take()?,
        scopes: json::to_strings(&row.take::<String>()?)?,
        expires_at: row.take()?,
        ips: row
            .take::<Option<String>>()?
            .as_deref()
            .map(json::to_strings)
            .transpose()?,
        sessions: row
            .take::<Option<String>>()?
            .as_deref()
            .map(json::to_parsed)
            .transpose()?,
        usage_count: row.take()?,
        last_used_at: row.take()?,
        revoked_at: row.take()?,
        created_by: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    };
    Ok((seq, hash, key))
}
