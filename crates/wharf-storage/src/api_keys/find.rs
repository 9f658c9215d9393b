//! Finding and listing keys.

use subtle::ConstantTimeEq;
use wharf_model::{ApiKeyId, PlanId, Timestamp, WorkspaceId};

use super::{ApiKey, KeyPlan};
use crate::cursor::{Page, PageRequest};
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::json;
use crate::plans;
use crate::unit::tx::ReadTx;

const LIST: &str = "api_keys";

/// A key that was found by the hash of one of its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// The key.
    pub key: ApiKey,
    /// Until when the text works that it was found by; `None` for the key's own, which lasts as long as the key.
    pub text_until: Option<Timestamp>,
}

/// Which keys count as unused.
#[derive(Clone, Copy, Debug)]
pub struct Unused {
    /// Those that were neither used nor made since.
    pub since: Timestamp,
    /// Now: keys that have expired are not listed.
    pub now: Timestamp,
}

/// With its plan, so that whoever looks a key up needs no second question.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "select k.seq, k.hash, k.previous_hash, k.previous_until, k.id, k.workspace_id, k.label, k.prefix, k.scopes,
                 k.expires_at, k.ips, k.sessions, p.id, p.name, p.requests_per_second, p.messages_per_day, p.otps_per_day,
                 p.sessions, k.usage_count, k.last_used_at, k.revoked_at, k.created_by, k.created_at, k.updated_at
             from api_keys k left join plans p on p.workspace_id = k.workspace_id and p.id = k.plan_id
             where ",
            $condition
        )
    };
}

/// The key with this hash, or that had it before; revoked and expired ones too, and texts whose time is over: the caller
/// judges.
///
/// # Errors
/// The database failed.
pub async fn find_by_hash(tx: &mut ReadTx, hash: &[u8; 32]) -> Result<Option<FoundKey>, StorageError> {
    // Two selects, because each has an index of its own; joined by an `or` they would have none on PostgreSQL.
    let sql = concat!(select!("k.hash = $1"), " union all ", select!("k.previous_hash = $1"));
    let Some(mut row) = tx.first(sql, params![hash]).await? else {
        return Ok(None);
    };
    let Stored {
        hash: own,
        previous_hash,
        key,
        ..
    } = read(&mut row)?;
    // The indexes have compared already; these comparisons are the ones that no timing can shorten.
    let is_asked = |stored: &[u8; 32]| bool::from(stored.ct_eq(hash));
    if is_asked(&own) {
        return Ok(Some(FoundKey { key, text_until: None }));
    }
    // A time that is missing was over long ago.
    let text_until = Some(key.previous_until.unwrap_or_default());
    let is_previous = previous_hash.as_ref().is_some_and(is_asked);
    Ok(Some(FoundKey { key, text_until }).filter(|_| is_previous))
}

/// One key of a workspace.
///
/// # Errors
/// The database failed.
pub async fn get(tx: &mut ReadTx, workspace: WorkspaceId, id: ApiKeyId) -> Result<Option<ApiKey>, StorageError> {
    let sql = select!("k.workspace_id = $1 and k.id = $2");
    let row = tx.first(sql, params![&workspace, &id]).await?;
    Ok(row.map(|mut row| read(&mut row)).transpose()?.map(|stored| stored.key))
}

/// The keys of a workspace, newest first.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn list(tx: &mut ReadTx, workspace: WorkspaceId, page: &PageRequest) -> Result<Page<ApiKey>, StorageError> {
    let sql = select!("k.workspace_id = $1 and k.seq < $2 order by k.seq desc limit $3");
    let rows = tx
        .query(sql, params![&workspace, page.below(LIST, workspace)?, page.fetch()])
        .await?;
    cut(rows, page, workspace)
}

/// The keys of a workspace that still work and that nobody uses, newest first.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn list_unused(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    unused: Unused,
    page: &PageRequest,
) -> Result<Page<ApiKey>, StorageError> {
    let sql = select!(
        "k.workspace_id = $1 and k.seq < $2 and k.revoked_at is null
             and (k.expires_at is null or k.expires_at > $4) and coalesce(k.last_used_at, k.created_at) < $5
         order by k.seq desc limit $3"
    );
    let below = page.below(LIST, workspace)?;
    let rows = tx
        .query(sql, params![&workspace, below, page.fetch(), unused.now, unused.since])
        .await?;
    cut(rows, page, workspace)
}

fn cut(rows: Vec<Row>, page: &PageRequest, workspace: WorkspaceId) -> Result<Page<ApiKey>, StorageError> {
    let keys = rows
        .into_iter()
        .map(|mut row| read(&mut row).map(|stored| (stored.seq, stored.key)));
    Ok(Page::cut(keys.collect::<Result<_, _>>()?, page, LIST, workspace))
}

/// A row: the key, and what only this file looks at.
struct Stored {
    seq: i64,
    hash: [u8; 32],
    previous_hash: Option<[u8; 32]>,
    key: ApiKey,
}

fn read(row: &mut Row) -> Result<Stored, StorageError> {
    let (seq, hash, previous_hash, previous_until) = (row.take()?, row.take()?, row.take()?, row.take()?);
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
        plan: read_plan(row)?,
        usage_count: row.take()?,
        last_used_at: row.take()?,
        revoked_at: row.take()?,
        created_by: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        previous_until,
    };
    Ok(Stored {
        seq,
        hash,
        previous_hash,
        key,
    })
}

fn read_plan(row: &mut Row) -> Result<Option<KeyPlan>, StorageError> {
    let (id, name): (Option<PlanId>, Option<String>) = (row.take()?, row.take()?);
    let limits = plans::read_limits(row)?;
    Ok(id.zip(name).map(|(id, name)| KeyPlan { id, name, limits }))
}
