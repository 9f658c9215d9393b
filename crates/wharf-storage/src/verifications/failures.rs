//! Wrong codes in a row for one phone, over all of its verifications: who guesses a little at each meets this.

use wharf_model::WorkspaceId;

use crate::driver::value::params;
use crate::error::StorageError;
use crate::seal::Blind;
use crate::unit::tx::{ReadTx, Tx};

/// How many wrong codes came for a phone since the last right one.
///
/// # Errors
/// The database failed.
pub async fn failures(tx: &mut ReadTx, workspace: WorkspaceId, phone: Blind) -> Result<u32, StorageError> {
    let sql = "select failures from verification_failures where workspace_id = $1 and phone_index = $2";
    let row = tx.first(sql, params![&workspace, phone]).await?;
    Ok(row.map(|mut row| row.take()).transpose()?.unwrap_or(0))
}

/// Begins the count of a phone anew. `false`: there was none.
///
/// # Errors
/// The database failed.
pub async fn clear_failures(tx: &mut Tx, workspace: WorkspaceId, phone: Blind) -> Result<bool, StorageError> {
    let sql = "delete from verification_failures where workspace_id = $1 and phone_index = $2";
    Ok(tx.execute(sql, params![&workspace, phone]).await? > 0)
}

pub(super) async fn count(tx: &mut Tx, workspace: WorkspaceId, phone: Blind) -> Result<(), StorageError> {
    tx.send(
        "insert into verification_failures (workspace_id, phone_index, failures) values ($1, $2, 1)
         on conflict (workspace_id, phone_index) do update set failures = verification_failures.failures + 1",
        params![&workspace, phone],
    )
    .await
}

pub(super) async fn forget(tx: &mut Tx, workspace: WorkspaceId, phone: Blind) -> Result<(), StorageError> {
    tx.send(
        "delete from verification_failures where workspace_id = $1 and phone_index = $2",
        params![&workspace, phone],
    )
    .await
}
