//! What API keys used: messages and one-time passwords by the day, and sessions that exist. Promises that what is taken from
//! a quota is taken in the unit of work that it is for, so that nothing is admitted beyond a limit and nothing that was
//! refused is counted. What nothing limits is counted by whoever accepts it and written in batches: no unit waits for another
//! one to count what is only shown. A day begins at midnight UTC.

use std::time::Duration;

use wharf_model::{ApiKeyId, Day, Timestamp, WorkspaceId};

use crate::driver::value::params;
use crate::error::StorageError;
use crate::plans::PlanLimits;
use crate::postgres::lock::Lock;
use crate::unit::tx::{ReadTx, Tx};

/// How long it is known what a key used on a day.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What an API key may use of what is counted; `None` does not limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whose key it is.
    pub workspace: WorkspaceId,
    /// The key that is counted.
    pub key: ApiKeyId,
    /// Messages in a day.
    pub messages_per_day: Option<u64>,
    /// One-time passwords in a day.
    pub otps_per_day: Option<u64>,
    /// Sessions that it made and that exist.
    pub sessions: Option<u64>,
}

impl Allowance {
    /// What the limits of its plan allow a key.
    pub const fn new(workspace: WorkspaceId, key: ApiKeyId, limits: PlanLimits) -> Self {
        Self {
            workspace,
            key,
            messages_per_day: limits.messages_per_day,
            otps_per_day: limits.otps_per_day,
            sessions: limits.sessions,
        }
    }

    /// How much of it a day has.
    pub const fn limit(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::Messages => self.messages_per_day,
            Resource::Otps => self.otps_per_day,
        }
    }
}

/// What is counted by the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Messages that were accepted.
    Messages,
    /// Codes that were sent, each message of a verification, and texts that were asked for.
    Otps,
}

/// Counts, and says what was counted.
macro_rules! take {
    ($column:literal) => {
        concat!(
            "insert into usage (workspace_id, key_id, day, ",
            $column,
            ") values ($1, $2, $3, $4)
             on conflict (workspace_id, key_id, day) do update set ",
            $column,
            " = usage.",
            $column,
            " + excluded.",
            $column,
            " returning ",
            $column
        )
    };
}

impl Resource {
    /// The name of its quota: the field of a plan.
    pub const fn quota(self) -> &'static str {
        match self {
            Self::Messages => "messages_per_day",
            Self::Otps => "otps_per_day",
        }
    }

    const fn take(self) -> &'static str {
        match self {
            Self::Messages => take!("messages"),
            Self::Otps => take!("otps"),
        }
    }
}

/// A quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quota {} of {limit} is used up", .resource.quota())]
pub struct QuotaExceeded {
    /// Of what.
    pub resource: Resource,
    /// How much a day has.
    pub limit: u64,
    /// How long until the next day begins.
    pub resets_in: Duration,
}

/// The key has as many sessions as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API key has made {limit} sessions, as many as it may")]
pub struct SessionQuotaReached {
    /// How many.
    pub limit: u64,
}

/// Takes `n` of what a key may use on this day. Other units of the same key wait for this one's end from here on: a unit calls
/// it as late as it can. Without a limit it does nothing, so that nobody waits: see [`record`].
///
/// # Errors
/// A rejection with [`QuotaExceeded`] when less than that is left; or the database failed.
pub async fn take(
    tx: &mut Tx,
    allowance: &Allowance,
    resource: Resource,
    n: u32,
    now: Timestamp,
) -> Result<(), StorageError> {
    let Some(limit) = allowance.limit(resource) else {
        return Ok(());
    };
    let (workspace, key, day) = (&allowance.workspace, &allowance.key, Day::of(now));
    let row = tx.first(resource.take(), params![workspace, key, day, n]).await?;
    let taken: u64 = row.ok_or(StorageError::Unreadable("usage"))?.take()?;
    if taken <= limit {
        return Ok(());
    }
    Err(StorageError::rejected(QuotaExceeded {
        resource,
        limit,
        resets_in: day.ends_at().since(now),
    }))
}

/// Makes sure that a key may make one more session. Nobody else makes one with it until the unit has ended.
///
/// # Errors
/// A rejection with [`SessionQuotaReached`] when it may not; or the database failed.
pub async fn admit_session(tx: &mut Tx, allowance: &Allowance) -> Result<(), StorageError> {
    let Some(limit) = allowance.sessions else {
        return Ok(());
    };
    tx.lock(Lock::Made(allowance.key)).await?;
    if sessions(tx, allowance.workspace, allowance.key).await? < limit {
        return Ok(());
    }
    Err(StorageError::rejected(SessionQuotaReached { limit }))
}

/// What a key used on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Messages.
    pub messages: u64,
    /// One-time passwords.
    pub otps: u64,
}

impl Used {
    /// One of a resource.
    pub const fn one(resource: Resource) -> Self {
        match resource {
            Resource::Messages => Self { messages: 1, otps: 0 },
            Resource::Otps => Self { messages: 0, otps: 1 },
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            otps: self.otps.saturating_add(other.otps),
        }
    }
}

/// What a key used on one day of what nothing limits, since the last batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayUsage {
    /// Whose key it is.
    pub workspace: WorkspaceId,
    /// Which key.
    pub key: ApiKeyId,
    /// When.
    pub day: Day,
    /// How much.
    pub used: Used,
}

/// Adds a batch of what keys used. Nothing is refused: what has a limit is taken by [`take`].
///
/// # Errors
/// The database failed.
pub async fn record(tx: &mut Tx, batch: &[DayUsage]) -> Result<(), StorageError> {
    // In the order of their keys, so that no two batches wait for each other.
    let mut batch: Vec<_> = batch.iter().collect();
    batch.sort_unstable_by_key(|usage| (usage.key, usage.day));
    for DayUsage {
        workspace,
        key,
        day,
        used,
    } in batch
    {
        tx.send(
            "insert into usage (workspace_id, key_id, day, messages, otps) values ($1, $2, $3, $4, $5)
             on conflict (workspace_id, key_id, day) do update set
                 messages = usage.messages + excluded.messages, otps = usage.otps + excluded.otps",
            params![
                workspace,
                key,
                day,
                i64::try_from(used.messages).unwrap_or(i64::MAX),
                i64::try_from(used.otps).unwrap_or(i64::MAX)
            ],
        )
        .await?;
    }
    Ok(())
}

/// What a key has used on this day.
///
/// # Errors
/// The database failed.
pub async fn of_day(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    key: ApiKeyId,
    now: Timestamp,
) -> Result<Used, StorageError> {
    let sql = "select messages, otps from usage where workspace_id = $1 and key_id = $2 and day = $3";
    let Some(mut row) = tx.first(sql, params![&workspace, &key, Day::of(now)]).await? else {
        return Ok(Used::default());
    };
    Ok(Used {
        messages: row.take()?,
        otps: row.take()?,
    })
}

/// How many sessions exist that a key made.
///
/// # Errors
/// The database failed.
pub async fn sessions(tx: &mut ReadTx, workspace: WorkspaceId, key: ApiKeyId) -> Result<u64, StorageError> {
    let sql = "select count(*) from sessions where workspace_id = $1 and created_by = $2 and deleted_at is null";
    let row = tx.first(sql, params![&workspace, &key.to_string()]).await?;
    row.map_or(Ok(0), |mut row| row.take())
}

/// Deletes what was used on days before that of `before`, the oldest first: at most `limit` rows. Says how many went. What is
/// within [`KEPT`] of the newest day stays whatever the time is: a clock that has run ahead would give every key its quota
/// anew.
///
/// # Errors
/// The database failed.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StorageError> {
    let row = tx.first("select max(day) from usage", &[]).await?;
    let newest: Option<Day> = row.map_or(Ok(None), |mut row| row.take())?;
    let Some(newest) = newest else {
        return Ok(0);
    };
    let before = Day::of(before).min(Day::of(newest.starts_at() - KEPT));
    tx.execute(
        "delete from usage where (workspace_id, key_id, day) in (
             select workspace_id, key_id, day from usage where day < $1 order by day limit $2)",
        params![before, limit],
    )
    .await
}
