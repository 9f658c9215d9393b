//! Signal state: the one table under the engine's `Backend`. Rows are sealed, keys and owners blind; this module moves
//! bytes and knows nothing of what they mean. Every write takes a [`Fence`] and checks the session's epoch in its own
//! transaction. Read-modify-write is [`alone`], a `get` and a `put` in one unit of work.

use wharf_model::{SessionId, Timestamp};

use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::Sealed;
use crate::sessions::{Fence, check_epoch};
use crate::unit::tx::{ReadTx, Tx};

/// A row of signal state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// What it is, such as `prekey`.
    pub kind: String,
    /// Unique within session and kind: a blind address, or a number in big-endian bytes.
    pub key: Vec<u8>,
    /// The second look-up, blind.
    pub owner: Option<Vec<u8>>,
    /// The number that orders.
    pub rank: Option<i64>,
    /// When it may go; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// From `SessionKeys::seal_state`.
    pub value: Sealed,
}

macro_rules! columns {
    () => {
        "kind, key, owner, rank, expires_at, value"
    };
}

/// One row.
///
/// # Errors
/// The database failed.
pub async fn get(
    tx: &mut ReadTx,
    session: SessionId,
    kind: &str,
    key: &[u8],
) -> Result<Option<StateRow>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from wa_state where session_id = $1 and kind = $2 and key = $3"
    );
    let row = tx.first(sql, params![&session, kind, key]).await?;
    row.map(|mut row| read(&mut row)).transpose()
}

/// The rows of several keys, in the order of the keys; missing ones are left out.
///
/// # Errors
/// The database failed.
pub async fn get_many(
    tx: &mut ReadTx,
    session: SessionId,
    kind: &str,
    keys: &[Vec<u8>],
) -> Result<Vec<StateRow>, StorageError> {
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        rows.extend(get(tx, session, kind, key).await?);
    }
    Ok(rows)
}

/// Every row of a kind, by key.
///
/// # Errors
/// The database failed.
pub async fn list(tx: &mut ReadTx, session: SessionId, kind: &str) -> Result<Vec<StateRow>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from wa_state where session_id = $1 and kind = $2 order by key"
    );
    read_all(tx.query(sql, params![&session, kind]).await?)
}

/// Every row of a kind and owner, highest rank first.
///
/// # Errors
/// The database failed.
pub async fn list_by_owner(
    tx: &mut ReadTx,
    session: SessionId,
    kind: &str,
    owner: &[u8],
) -> Result<Vec<StateRow>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from wa_state where session_id = $1 and kind = $2 and owner = $3 order by rank desc nulls last"
    );
    read_all(tx.query(sql, params![&session, kind, owner]).await?)
}

/// Whether an owner has any row of a kind.
///
/// # Errors
/// The database failed.
pub async fn has_owner(tx: &mut ReadTx, session: SessionId, kind: &str, owner: &[u8]) -> Result<bool, StorageError> {
    let sql = "select 1 from wa_state where session_id = $1 and kind = $2 and owner = $3 limit 1";
    Ok(tx.first(sql, params![&session, kind, owner]).await?.is_some())
}

/// The row of a kind with the highest rank.
///
/// # Errors
/// The database failed.
pub async fn newest(tx: &mut ReadTx, session: SessionId, kind: &str) -> Result<Option<StateRow>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from wa_state where session_id = $1 and kind = $2 and rank is not null order by rank desc limit 1"
    );
    let row = tx.first(sql, params![&session, kind]).await?;
    row.map(|mut row| read(&mut row)).transpose()
}

/// The highest rank of a kind.
///
/// # Errors
/// The database failed.
pub async fn max_rank(tx: &mut ReadTx, session: SessionId, kind: &str) -> Result<Option<i64>, StorageError> {
    let sql = "select rank from wa_state where session_id = $1 and kind = $2 and rank is not null
               order by rank desc limit 1";
    tx.first(sql, params![&session, kind])
        .await?
        .map(|mut row| row.take())
        .transpose()
}

/// How many rows a kind has.
///
/// # Errors
/// The database failed.
pub async fn count(tx: &mut ReadTx, session: SessionId, kind: &str) -> Result<u64, StorageError> {
    let sql = "select count(*) from wa_state where session_id = $1 and kind = $2";
    tx.first(sql, params![&session, kind])
        .await?
        .map_or(Ok(0), |mut row| row.take())
}

/// Keeps every other write of the session's state out until the unit has ended. A unit that writes what it makes of
/// rows that it read begins with this.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn alone(tx: &mut Tx, fence: &Fence) -> Result<(), StorageError> {
    tx.lock(Lock::Changed(fence.session)).await?;
    check_epoch(tx, fence).await
}

/// Stores a row, replacing the one that was there.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn put(tx: &mut Tx, fence: &Fence, row: &StateRow) -> Result<(), StorageError> {
    check_epoch(tx, fence).await?;
    upsert(tx, fence.session, row).await
}

/// Stores rows, replacing what was there; all or none.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn put_many(tx: &mut Tx, fence: &Fence, rows: &[StateRow]) -> Result<(), StorageError> {
    check_epoch(tx, fence).await?;
    // In one order everywhere, so that no two batches wait for each other.
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by(|one, other| (&one.kind, &one.key).cmp(&(&other.kind, &other.key)));
    for row in rows {
        upsert(tx, fence.session, row).await?;
    }
    Ok(())
}

/// Replaces a row that is there, and never brings back one that was deleted. Says whether it was there.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn replace(tx: &mut Tx, fence: &Fence, row: &StateRow) -> Result<bool, StorageError> {
    check_epoch(tx, fence).await?;
    let changed = tx
        .execute(
            "update wa_state set owner = $4, rank = $5, expires_at = $6, value = $7
             where session_id = $1 and kind = $2 and key = $3",
            params![
                &fence.session,
                &row.kind,
                &row.key,
                &row.owner,
                row.rank,
                row.expires_at,
                &row.value
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Deletes a row. Says whether it was there.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn delete(tx: &mut Tx, fence: &Fence, kind: &str, key: &[u8]) -> Result<bool, StorageError> {
    check_epoch(tx, fence).await?;
    remove(tx, fence.session, kind, key).await
}

/// Deletes several rows of a kind. Says how many were there.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn delete_many(tx: &mut Tx, fence: &Fence, kind: &str, keys: &[Vec<u8>]) -> Result<u64, StorageError> {
    check_epoch(tx, fence).await?;
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_unstable();
    let mut deleted = 0;
    for key in keys {
        deleted += u64::from(remove(tx, fence.session, kind, key).await?);
    }
    Ok(deleted)
}

/// Reads and deletes a row in one step: two takers get one row between them.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn take(tx: &mut Tx, fence: &Fence, kind: &str, key: &[u8]) -> Result<Option<StateRow>, StorageError> {
    check_epoch(tx, fence).await?;
    let sql = concat!(
        "delete from wa_state where session_id = $1 and kind = $2 and key = $3 returning ",
        columns!()
    );
    let row = tx.first(sql, params![&fence.session, kind, key]).await?;
    row.map(|mut row| read(&mut row)).transpose()
}

/// Deletes the rows of a kind that expired at or before `now`. Says how many.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn delete_expired(tx: &mut Tx, fence: &Fence, kind: &str, now: Timestamp) -> Result<u64, StorageError> {
    check_epoch(tx, fence).await?;
    let sql = "delete from wa_state where session_id = $1 and kind = $2 and expires_at <= $3";
    tx.execute(sql, params![&fence.session, kind, now]).await
}

/// Deletes every row of a kind. Says how many.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn delete_kind(tx: &mut Tx, fence: &Fence, kind: &str) -> Result<u64, StorageError> {
    check_epoch(tx, fence).await?;
    let sql = "delete from wa_state where session_id = $1 and kind = $2";
    tx.execute(sql, params![&fence.session, kind]).await
}

/// Deletes every row of a kind and owner. Says how many.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn delete_owner(tx: &mut Tx, fence: &Fence, kind: &str, owner: &[u8]) -> Result<u64, StorageError> {
    check_epoch(tx, fence).await?;
    let sql = "delete from wa_state where session_id = $1 and kind = $2 and owner = $3";
    tx.execute(sql, params![&fence.session, kind, owner]).await
}

/// Deletes everything of a session. The key stays; see [`crate::sessions::shred_signal_state`].
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn delete_all(tx: &mut Tx, fence: &Fence) -> Result<u64, StorageError> {
    check_epoch(tx, fence).await?;
    tx.execute("delete from wa_state where session_id = $1", params![&fence.session])
        .await
}

async fn upsert(tx: &mut Tx, session: SessionId, row: &StateRow) -> Result<(), StorageError> {
    tx.send(
        "insert into wa_state (session_id, kind, key, owner, rank, expires_at, value)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (session_id, kind, key) do update
         set owner = excluded.owner, rank = excluded.rank, expires_at = excluded.expires_at, value = excluded.value",
        params![
            &session,
            &row.kind,
            &row.key,
            &row.owner,
            row.rank,
            row.expires_at,
            &row.value
        ],
    )
    .await
}

async fn remove(tx: &mut Tx, session: SessionId, kind: &str, key: &[u8]) -> Result<bool, StorageError> {
    let sql = "delete from wa_state where session_id = $1 and kind = $2 and key = $3";
    Ok(tx.execute(sql, params![&session, kind, key]).await? == 1)
}

fn read_all(rows: Vec<Row>) -> Result<Vec<StateRow>, StorageError> {
    rows.into_iter().map(|mut row| read(&mut row)).collect()
}

fn read(row: &mut Row) -> Result<StateRow, StorageError> {
    Ok(StateRow {
        kind: row.take()?,
        key: row.take()?,
        owner: row.take()?,
        rank: row.take()?,
        expires_at: row.take()?,
        value: row.take()?,
    })
}
