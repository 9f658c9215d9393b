//! The end of a session: unlinking, shredding, deleting, and clearing away what a deletion leaves.

use wharf_model::{SessionId, Timestamp, WorkspaceId};

use super::found;
use super::state::Fence;
use crate::data_keys;
use crate::driver::value::params;
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::{KeyPurpose, WrappedKey};
use crate::storage::Storage;
use crate::unit::Queue;
use crate::unit::tx::{ReadTx, Tx};

/// Notes that WhatsApp unlinked the account for good, and when its signal state is to be shredded; `None` for both
/// takes it back when the session is linked anew.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn set_unlinked(
    tx: &mut Tx,
    fence: &Fence,
    unlinked_at: Option<Timestamp>,
    shred_at: Option<Timestamp>,
) -> Result<(), StorageError> {
    super::check_epoch(tx, fence).await?;
    tx.execute(
        "update sessions set unlinked_at = $2, keys_shred_at = $3 where id = $1",
        params![&fence.session, unlinked_at, shred_at],
    )
    .await?;
    Ok(())
}

/// Notes that a session's credentials are on their way to another program; `None` when that is settled. Whatever comes of it,
/// a copy was taken.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn set_moving(tx: &mut Tx, fence: &Fence, since: Option<Timestamp>) -> Result<(), StorageError> {
    super::check_epoch(tx, fence).await?;
    tx.execute(
        "update sessions set moving_since = $2, exported_at = coalesce($2, exported_at) where id = $1",
        params![&fence.session, since],
    )
    .await?;
    Ok(())
}

/// Notes that a copy of a session's credentials was taken that can log in as well.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such session.
pub async fn note_export(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: SessionId,
    now: Timestamp,
) -> Result<(), StorageError> {
    let changed = tx
        .execute(
            "update sessions set exported_at = $3, updated_at = $3
             where workspace_id = $1 and id = $2 and deleted_at is null",
            params![&workspace, &id, now],
        )
        .await?;
    found(changed)
}

/// The sessions whose signal state is to be shredded by now.
///
/// # Errors
/// The database failed.
pub async fn due_for_shredding(tx: &mut ReadTx, now: Timestamp) -> Result<Vec<SessionId>, StorageError> {
    let rows = tx
        .query("select id from sessions where keys_shred_at <= $1", params![now])
        .await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

/// Destroys a session's signal state and the key that sealed it; messages stay readable. `fresh` serves the next link.
/// Callers truncate the log afterwards, see [`Storage::truncate_log`].
///
/// # Errors
/// The database failed.
pub async fn shred_signal_state(
    tx: &mut Tx,
    session: SessionId,
    fresh: &WrappedKey,
    now: Timestamp,
) -> Result<(), StorageError> {
    // Two that shred at once would both bring a key, and what is written meanwhile would be under the old one.
    tx.lock(Lock::Keys).await?;
    tx.lock(Lock::Changed(session)).await?;
    tx.execute("delete from wa_state where session_id = $1", params![&session])
        .await?;
    data_keys::shred(tx, session, KeyPurpose::Signal).await?;
    data_keys::insert(tx, fresh, now).await?;
    tx.execute(
        "update sessions set keys_shred_at = null, fingerprint = null, exported_at = null, moving_since = null,
             updated_at = $2
         where id = $1",
        params![&session, now],
    )
    .await?;
    Ok(())
}

/// Deletes a session: fences its owner out, shreds both keys and the signal state. Its messages are unreadable from
/// here on; [`purge_deleted`] clears their rows away bit by bit.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such session.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: SessionId, now: Timestamp) -> Result<(), StorageError> {
    tx.lock(Lock::Keys).await?;
    tx.lock(Lock::Changed(id)).await?;
    tx.learn(None);
    let changed = tx
        .execute(
            "update sessions set deleted_at = $3, updated_at = $3, wanted = 'stopped', epoch = epoch + 1, owner = null,
                 lease_until = null, keys_shred_at = null, profile = null, metadata = null, proxy = null
             where workspace_id = $1 and id = $2 and deleted_at is null",
            params![&workspace, &id, now],
        )
        .await?;
    found(changed)?;
    tx.execute("delete from wa_state where session_id = $1", params![&id])
        .await?;
    data_keys::shred(tx, id, KeyPurpose::Signal).await?;
    data_keys::shred(tx, id, KeyPurpose::Content).await
}

/// Clears messages of deleted sessions away, the longest deleted first, and the sessions that have none left: at most `limit`
/// rows of both. Says how many went; fewer than `limit` means done.
///
/// # Errors
/// The database failed.
pub async fn purge_deleted(tx: &mut Tx, limit: u32) -> Result<u64, StorageError> {
    let mut gone = 0;
    while gone < u64::from(limit) {
        match purge_oldest(tx, i64::from(limit) - gone.cast_signed()).await? {
            0 => break,
            rows => gone += rows,
        }
    }
    Ok(gone)
}

async fn purge_oldest(tx: &mut Tx, limit: i64) -> Result<u64, StorageError> {
    let sql = "select id from sessions where deleted_at is not null order by deleted_at limit 1";
    let Some(mut row) = tx.first(sql, &[]).await? else {
        return Ok(0);
    };
    let id: SessionId = row.take()?;
    let messages = tx
        .execute(
            "delete from messages where seq in (select seq from messages where session_id = $1 limit $2)",
            params![&id, limit],
        )
        .await?;
    if messages > 0 {
        return Ok(messages);
    }
    tx.execute("delete from sessions where id = $1", params![&id]).await
}

impl Storage {
    /// [`delete`] as a unit of its own, with the truncation of the log that makes the shredding true on disk.
    ///
    /// # Errors
    /// [`StorageError::NotFound`]; or the log could not be truncated, in which case the session is deleted all the same.
    pub async fn delete_session(&self, workspace: WorkspaceId, id: SessionId) -> Result<(), StorageError> {
        let now = self.clock().now();
        self.write(Queue::Normal, move |tx| Box::pin(delete(tx, workspace, id, now)))
            .await?;
        self.truncate_log().await
    }

    /// [`shred_signal_state`] as a unit of its own, with a fresh key and the truncation of the log.
    ///
    /// # Errors
    /// The database failed, or the log could not be truncated.
    pub async fn shred_session_signal_state(&self, id: SessionId) -> Result<(), StorageError> {
        let (fresh, now) = (self.new_signal_key(id)?, self.clock().now());
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move { shred_signal_state(tx, id, &fresh, now).await })
        })
        .await?;
        self.truncate_log().await
    }
}
