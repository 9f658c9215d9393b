//! Plans: what the API keys that carry one may use. Only the limits are here; what was used is in [`crate::usage`].

use wharf_model::{PlanId, Timestamp, WorkspaceId};

use crate::cursor::{Page, PageRequest};
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::unit::tx::{ReadTx, Tx};

const LIST: &str = "plans";

/// The limits of a plan; `None` does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanLimits {
    /// Calls of each of its keys in a second.
    pub requests_per_second: Option<u32>,
    /// Messages of each of its keys in a day.
    pub messages_per_day: Option<u64>,
    /// One-time passwords of each of its keys in a day.
    pub otps_per_day: Option<u64>,
    /// Sessions that each of its keys made and that exist.
    pub sessions: Option<u64>,
}

impl PlanLimits {
    /// Those of a key without a plan.
    pub const NONE: Self = Self {
        requests_per_second: None,
        messages_per_day: None,
        otps_per_day: None,
        sessions: None,
    };
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// What its owner calls it; no two of a workspace have the same name.
    pub name: String,
    /// What its keys may use.
    pub limits: PlanLimits,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

/// What a person may change; `None` leaves a field as it is, `Some(None)` takes a limit away.
#[derive(Clone, Debug, Default)]
pub struct PlanPatch {
    /// The name.
    pub name: Option<String>,
    /// Calls in a second.
    pub requests_per_second: Option<Option<u32>>,
    /// Messages in a day.
    pub messages_per_day: Option<Option<u64>>,
    /// One-time passwords in a day.
    pub otps_per_day: Option<Option<u64>>,
    /// Sessions.
    pub sessions: Option<Option<u64>>,
}

/// A key that works carries the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key carries the plan")]
pub struct PlanInUse;

/// Stores a plan.
///
/// # Errors
/// [`StorageError::Conflict`] when the workspace has a plan of this name.
pub async fn insert(tx: &mut Tx, plan: &Plan) -> Result<(), StorageError> {
    let limits = &plan.limits;
    tx.execute(
        "insert into plans (id, workspace_id, name, requests_per_second, messages_per_day, otps_per_day, sessions,
             created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            &plan.id,
            &plan.workspace_id,
            &plan.name,
            limits.requests_per_second,
            stored(limits.messages_per_day),
            stored(limits.otps_per_day),
            stored(limits.sessions),
            plan.created_at,
            plan.updated_at
        ],
    )
    .await?;
    Ok(())
}

macro_rules! columns {
    () => {
        "seq, id, workspace_id, name, requests_per_second, messages_per_day, otps_per_day, sessions, created_at,
         updated_at"
    };
}

/// One plan of a workspace.
///
/// # Errors
/// The database failed.
pub async fn get(tx: &mut ReadTx, workspace: WorkspaceId, id: PlanId) -> Result<Option<Plan>, StorageError> {
    let sql = concat!("select ", columns!(), " from plans where workspace_id = $1 and id = $2");
    let row = tx.first(sql, params![&workspace, &id]).await?;
    Ok(row.map(|mut row| read(&mut row)).transpose()?.map(|(_, plan)| plan))
}

/// The plans of a workspace, newest first.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn list(tx: &mut ReadTx, workspace: WorkspaceId, page: &PageRequest) -> Result<Page<Plan>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from plans where workspace_id = $1 and seq < $2 order by seq desc limit $3"
    );
    let rows = tx
        .query(sql, params![&workspace, page.below(LIST, workspace)?, page.fetch()])
        .await?;
    let plans = rows.into_iter().map(|mut row| read(&mut row));
    Ok(Page::cut(plans.collect::<Result<_, _>>()?, page, LIST, workspace))
}

/// Changes what a person may change, and gives the plan as it is now.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such plan, [`StorageError::Conflict`] when it has another one of
/// this name.
pub async fn patch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: PlanId,
    patch: &PlanPatch,
    now: Timestamp,
) -> Result<Plan, StorageError> {
    // What is not named is written back as it was read: nobody else changes it meanwhile.
    let mut plan = hold(tx, workspace, id).await?;
    let limits = &mut plan.limits;
    limits.requests_per_second = patch.requests_per_second.unwrap_or(limits.requests_per_second);
    limits.messages_per_day = patch.messages_per_day.unwrap_or(limits.messages_per_day);
    limits.otps_per_day = patch.otps_per_day.unwrap_or(limits.otps_per_day);
    limits.sessions = patch.sessions.unwrap_or(limits.sessions);
    if let Some(name) = &patch.name {
        plan.name.clone_from(name);
    }
    plan.updated_at = now;
    tx.execute(
        "update plans set name = $3, requests_per_second = $4, messages_per_day = $5, otps_per_day = $6, sessions = $7,
             updated_at = $8
         where workspace_id = $1 and id = $2",
        params![
            &workspace,
            &id,
            &plan.name,
            plan.limits.requests_per_second,
            stored(plan.limits.messages_per_day),
            stored(plan.limits.otps_per_day),
            stored(plan.limits.sessions),
            now
        ],
    )
    .await?;
    Ok(plan)
}

/// Deletes a plan. Keys that carried it and were revoked carry none afterwards.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such plan; a rejection with [`PlanInUse`] when a key that was not
/// revoked carries it.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: PlanId) -> Result<(), StorageError> {
    hold(tx, workspace, id).await?;
    let used = "select 1 from api_keys where workspace_id = $1 and plan_id = $2 and revoked_at is null limit 1";
    if tx.first(used, params![&workspace, &id]).await?.is_some() {
        return Err(StorageError::rejected(PlanInUse));
    }
    tx.execute(
        "update api_keys set plan_id = null where workspace_id = $1 and plan_id = $2",
        params![&workspace, &id],
    )
    .await?;
    tx.execute(
        "delete from plans where workspace_id = $1 and id = $2",
        params![&workspace, &id],
    )
    .await?;
    Ok(())
}

/// The plan, which stays what it is until the unit has ended; nor does a key take one up or put it down meanwhile.
pub(crate) async fn hold(tx: &mut Tx, workspace: WorkspaceId, id: PlanId) -> Result<Plan, StorageError> {
    tx.lock(Lock::Plans).await?;
    get(tx, workspace, id).await?.ok_or(StorageError::NotFound("plan"))
}

/// Databases count with a sign.
fn stored(limit: Option<u64>) -> Option<i64> {
    limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

fn read(row: &mut Row) -> Result<(i64, Plan), StorageError> {
    let seq = row.take()?;
    let plan = Plan {
        id: row.take()?,
        workspace_id: row.take()?,
        name: row.take()?,
        limits: read_limits(row)?,
        created_at: row.take()?,
        updated_at: row.take()?,
    };
    Ok((seq, plan))
}

/// The four limits, in the order of the table.
pub(crate) fn read_limits(row: &mut Row) -> Result<PlanLimits, StorageError> {
    Ok(PlanLimits {
        requests_per_second: row.take()?,
        messages_per_day: row.take()?,
        otps_per_day: row.take()?,
        sessions: row.take()?,
    })
}
