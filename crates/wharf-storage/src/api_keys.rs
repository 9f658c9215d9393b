//! API keys: hashes, never the keys. A key that was rotated has two: its own, and the one before for a while. Usage is
//! counted in batches, so that no request waits for its count.

use subtle::ConstantTimeEq;
use wharf_model::{ApiKeyId, PlanId, SessionId, Timestamp, WorkspaceId};

use crate::cursor::{Page, PageRequest};
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::json;
use crate::plans::{self, PlanLimits};
use crate::postgres::lock::Lock;
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

/// A key that was found by the hash of one of its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// The key.
    pub key: ApiKey,
    /// Until when the text works that it was found by; `None` for the key's own, which lasts as long as the key.
    pub text_until: Option<Timestamp>,
}

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

/// Which keys count as unused.
#[derive(Clone, Copy, Debug)]
pub struct Unused {
    /// Those that were neither used nor made since.
    pub since: Timestamp,
    /// Now: keys that have expired are not listed.
    pub now: Timestamp,
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
