//! What API keys used: messages and one-time passwords by the day, and sessions that exist. Promises that what is taken from
//! a quota is taken in the unit of work that it is for, so that nothing is admitted beyond a limit and nothing that was
//! refused is counted. A day begins at midnight UTC.

use std::time::Duration;

use wharf_model::{ApiKeyId, Timestamp, WorkspaceId};

use crate::driver::value::params;
use crate::error::StorageError;
use crate::plans::PlanLimits;
use crate::postgres::lock::Lock;
use crate::unit::tx::{ReadTx, Tx};

const DAY: i64 = 24 * 60 * 60;

/// What an API key may use of what is counted; `None` does not limit, and is counted all the same.
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

    const fn limit(&self, resource: Resource) -> Option<u64> {
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

macro_rules! count {
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

    /// Counts, and says what was counted.
    const fn take(self) -> &'static str {
        match self {
            Self::Messages => concat!(count!("messages"), " returning messages"),
            Self::Otps => concat!(count!("otps"), " returning otps"),
        }
    }

    /// Counts, and says nothing.
    const fn count(self) -> &'static str {
        match self {
            Self::Messages => count!("messages"),
            Self::Otps => count!("otps"),
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
/// it as late as it can.
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
    let (workspace, key, day) = (&allowance.workspace, &allowance.key, day_of(now));
    let Some(limit) = allowance.limit(resource) else {
        return tx.send(resource.count(), params![workspace, key, day, n]).await;
    };
    let row = tx.first(resource.take(), params![workspace, key, day, n]).await?;
    let taken: u64 = row.ok_or(StorageError::Unreadable("usage"))?.take()?;
    if taken <= limit {
        return Ok(());
    }
    Err(StorageError::rejected(QuotaExceeded {
        resource,
        limit,
        resets_in: ends_at(now).since(now),
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
    let Some(mut row) = tx.first(sql, params![&workspace, &key, day_of(now)]).await? else {
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

/// Deletes what was used on days before that of `before`, the oldest first: at most `limit` rows. Says how many went.
///
/// # Errors
/// The database failed.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StorageError> {
    tx.execute(
        "delete from usage where (workspace_id, key_id, day) in (
             select workspace_id, key_id, day from usage where day < $1 order by day limit $2)",
        params![day_of(before), limit],
    )
    .await
}

/// When the day of a moment ends.
pub const fn ends_at(now: Timestamp) -> Timestamp {
    Timestamp::from_secs((day_of(now) + 1) * DAY)
}

/// Days since 1970-01-01.
const fn day_of(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight() {
        let midnight = Timestamp::parse_rfc3339("2026-03-02T00:00:00Z").unwrap();
        let last = midnight - Duration::from_millis(1);
        assert_eq!(ends_at(last), midnight);
        assert_eq!(ends_at(midnight), midnight + Duration::from_secs(86_400));
        assert_eq!(day_of(last) + 1, day_of(midnight));
    }
}
