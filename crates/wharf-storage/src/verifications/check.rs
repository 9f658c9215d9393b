//! Codes that are tried, and the end of a verification.

use std::fmt;
use std::str::FromStr;

use wharf_model::{Day, Timestamp, VerificationId, VerificationStatus, WorkspaceId};

use super::failures;
use super::list::get;
use super::row::{Verification, columns, mac_of, read_one};
use super::stats::{self, Cell, Counter, Wait};
use crate::driver::value::params;
use crate::error::StorageError;
use crate::seal::WorkspaceKeys;
use crate::unit::tx::Tx;

/// What came of a code that was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// It was the one that was sent.
    Approved,
    /// It was another one.
    Incorrect,
}

impl CheckResult {
    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Incorrect => "incorrect",
        }
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CheckResult {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self, StorageError> {
        [Self::Approved, Self::Incorrect]
            .into_iter()
            .find(|result| result.as_str() == text)
            .ok_or(StorageError::Unreadable("result of a check"))
    }
}

/// What became of a check; the verification as it is now.
#[derive(Clone, Debug)]
pub enum Checked {
    /// The code was compared.
    Compared(CheckResult, Verification),
    /// Nothing was compared: the verification had come to its end, or is past its time.
    Over(Verification),
}

/// Tries a code. `None`: the workspace has no such verification. A wrong code counts when the unit commits, so that it must.
///
/// # Errors
/// The database failed.
pub async fn check(
    tx: &mut Tx,
    keys: &WorkspaceKeys,
    id: VerificationId,
    code: &str,
    now: Timestamp,
) -> Result<Option<Checked>, StorageError> {
    let workspace = keys.workspace();
    // Counted before it is looked at. The row stays locked until the commit: nobody compares on a count that is old.
    let sql = concat!(
        "update verifications set attempts = attempts + 1
         where workspace_id = $1 and id = $2 and status = 'pending' and expires_at > $3 returning ",
        columns!()
    );
    let counted = read_one(tx.first(sql, params![&workspace, &id, now]).await?)?;
    let Some(verification) = counted else {
        return Ok(get(tx, workspace, id).await?.map(Checked::Over));
    };
    let tried = mac_of(keys, id, verification.phone_index, &verification.purpose, code);
    let is_right = tried.is(&verification.mac);
    let result = if is_right {
        CheckResult::Approved
    } else {
        CheckResult::Incorrect
    };
    tx.send(
        "insert into verification_checks (workspace_id, verification_id, at, result) values ($1, $2, $3, $4)",
        params![&workspace, &id, now, result.as_str()],
    )
    .await?;
    match result {
        CheckResult::Approved => failures::forget(tx, workspace, verification.phone_index).await?,
        CheckResult::Incorrect => failures::count(tx, workspace, verification.phone_index).await?,
    }
    let end = match result {
        CheckResult::Approved => Some(VerificationStatus::Approved),
        CheckResult::Incorrect if verification.attempts >= verification.max_attempts => {
            Some(VerificationStatus::MaxAttemptsReached)
        }
        CheckResult::Incorrect => None,
    };
    let verification = match end {
        Some(end) => finish(tx, verification, end, now).await?,
        None => verification,
    };
    Ok(Some(Checked::Compared(result, verification)))
}

/// Takes a verification back that is pending. `None`: it is not, or the workspace has none of this id.
///
/// # Errors
/// The database failed.
pub async fn cancel(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: VerificationId,
    now: Timestamp,
) -> Result<Option<Verification>, StorageError> {
    // Locks the row as a check does, so that one of the two is first.
    let sql = concat!(
        "update verifications set due_at = due_at
         where workspace_id = $1 and id = $2 and status = 'pending' and expires_at > $3 returning ",
        columns!()
    );
    match read_one(tx.first(sql, params![&workspace, &id, now]).await?)? {
        Some(found) => Ok(Some(finish(tx, found, VerificationStatus::Cancelled, now).await?)),
        None => Ok(None),
    }
}

/// Ends a verification whose row this unit has locked, and takes the digits out of its messages.
pub(super) async fn finish(
    tx: &mut Tx,
    verification: Verification,
    end: VerificationStatus,
    now: Timestamp,
) -> Result<Verification, StorageError> {
    tx.send(
        "update verifications set status = $3, finished_at = $4, undelivered_at = null, due_at = keep_until, mac = $5
         where workspace_id = $1 and id = $2",
        params![&verification.workspace_id, &verification.id, end, now, &[0; 32]],
    )
    .await?;
    forget_digits(tx, verification.workspace_id, verification.id, now).await?;
    count_end(tx, &verification, end, now);
    Ok(Verification {
        status: end,
        finished_at: Some(now),
        undelivered_at: None,
        ..verification
    })
}

fn count_end(tx: &mut Tx, verification: &Verification, end: VerificationStatus, now: Timestamp) {
    let counter = match end {
        VerificationStatus::Approved => Counter::Approved,
        VerificationStatus::Expired => Counter::Expired,
        VerificationStatus::MaxAttemptsReached => Counter::Failed,
        VerificationStatus::Cancelled => Counter::Cancelled,
        VerificationStatus::Pending => return,
    };
    let Some(cell) = Cell::of_end(verification) else {
        return;
    };
    stats::count(tx, cell, counter);
    if counter == Counter::Approved {
        let (day, took) = (Day::of(verification.created_at), now.since(verification.created_at));
        stats::note_latency(tx, verification.workspace_id, day, Wait::Approved, took);
    }
}

/// Takes the digits out of every message of a verification. Those that wait to be sent are ended by their session: at once,
/// because what waits holds back what was accepted after it.
pub(super) async fn forget_digits(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: VerificationId,
    now: Timestamp,
) -> Result<(), StorageError> {
    let sql = "update messages set body = null,
                   due_at = case when status = 'queued' then $3 else due_at end,
                   retry_at = case when status = 'queued' then null else retry_at end
               where id in (select message_id from verification_sends where workspace_id = $1 and verification_id = $2)
                   and body is not null
               returning session_id";
    for mut row in tx.query(sql, params![&workspace, &id, now]).await? {
        let session = row.take()?;
        tx.notes().nudge(session);
    }
    Ok(())
}
