//! What falls due: the end of a verification's time, the word that nothing was heard of its delivery, its deletion.

use wharf_model::{Timestamp, VerificationId, VerificationStatus, WorkspaceId};

use super::check::finish;
use super::row::{Verification, columns, read, read_one};
use crate::driver::value::params;
use crate::error::StorageError;
use crate::unit::tx::{ReadTx, Tx};

/// The next time at which something is due, of whatever workspace.
///
/// # Errors
/// The database failed.
pub async fn next_due_at(tx: &mut ReadTx) -> Result<Option<Timestamp>, StorageError> {
    let row = tx
        .first(
            "select due_at from verifications where due_at > 0 order by due_at limit 1",
            &[],
        )
        .await?;
    row.map(|mut row| row.take()).transpose()
}

/// What is due, the longest first, at most `limit`, of whatever workspace.
///
/// # Errors
/// The database failed.
pub async fn due(tx: &mut ReadTx, now: Timestamp, limit: u32) -> Result<Vec<Verification>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from verifications where due_at <= $1 order by due_at limit $2"
    );
    let rows = tx.query(sql, params![now, limit]).await?;
    rows.into_iter()
        .map(|mut row| read(&mut row).map(|(_, verification)| verification))
        .collect()
}

/// Ends a verification whose time is over. `None`: it is not, or somebody else ended it.
///
/// # Errors
/// The database failed.
pub async fn expire(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: VerificationId,
    now: Timestamp,
) -> Result<Option<Verification>, StorageError> {
    let sql = concat!(
        "update verifications set due_at = due_at
         where workspace_id = $1 and id = $2 and status = 'pending' and expires_at <= $3 returning ",
        columns!()
    );
    match read_one(tx.first(sql, params![&workspace, &id, now]).await?)? {
        Some(found) => Ok(Some(finish(tx, found, VerificationStatus::Expired, now).await?)),
        None => Ok(None),
    }
}

/// The time for a word of its delivery is over: it is told once, or not at all. `None`: somebody else was first.
///
/// # Errors
/// The database failed.
pub async fn note_undelivered(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: VerificationId,
    now: Timestamp,
) -> Result<Option<Verification>, StorageError> {
    let sql = concat!(
        "update verifications set undelivered_at = null, due_at = expires_at
         where workspace_id = $1 and id = $2 and status = 'pending' and undelivered_at <= $3 returning ",
        columns!()
    );
    read_one(tx.first(sql, params![&workspace, &id, now]).await?)
}

/// Deletes verifications that have been kept long enough, at most `limit`. Says how many.
///
/// # Errors
/// The database failed.
pub async fn delete_due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<u64, StorageError> {
    tx.execute(
        "delete from verifications where seq in (
             select seq from verifications where due_at <= $1 and status <> 'pending' order by due_at limit $2)",
        params![now, limit],
    )
    .await
}
