//! Codes that are tried, and the end of a verification.

use std::fmt;
use std::str::FromStr;

use wharf_model::{Timestamp, VerificationId, VerificationStatus, WorkspaceId};

use super::failures;
use super::list::get;
use super::row::{Verification, columns, mac_of, read_one};
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
         where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > $3 returning ",
        columns!()
    );
    let counted = read_one(tx.first(sql, params![&id, &workspace, now]).await?)?;
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
        "insert into verification_checks (verification_id, at, result) values ($1, $2, $3)",
        params![&id, now, result.as_str()],
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
         where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > $3 returning ",
        columns!()
    );
    match read_one(tx.first(sql, params![&id, &workspace, now]).await?)? {
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
        "update verifications set status = $2, finished_at = $3, undelivered_at = null, due_at = keep_until, mac = $4
         where id = $1",
        params![&verification.id, end, now, &[0; 32]],
    )
    .await?;
    forget_digits(tx, verification.id, now).await?;
    Ok(Verification {
        status: end,
        finished_at: Some(now),
        undelivered_at: None,
        ..verification
    })
}

/// Takes the digits out of every message of a verification. Those that wait to be sent are ended by their session: at once,
/// because what waits holds back what was accepted after it.
pub(super) async fn forget_digits(tx: &mut Tx, id: VerificationId, now: Timestamp) -> Result<(), StorageError> {
    let sql = "update messages set body = null,
                   due_at = case when status = 'queued' then $2 else due_at end,
                   retry_at = case when status = 'queued' then null else retry_at end
               where id in (select message_id from verification_sends where verification_id = $1) and body is not null
               returning session_id";
    for mut row in tx.query(sql, params![&id, now]).await? {
        let session = row.take()?;
        tx.notes().nudge(session);
    }
    Ok(())
}
