//! Receptions: a text that somebody sends to a session, which proves the number that he sends it from. It is found by a keyed
//! hash, under the keys of the session that is to get it: one probe of an index, and nothing there for any other session. The
//! statement that finds it ends it, so that of however many that bring it one is taken.

use std::fmt;

use wharf_model::{SessionId, Timestamp, VerificationId, VerificationStatus, WorkspaceId};

use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::seal::{Blind, Place, Sealed, SessionKeys};
use crate::unit::tx::{ReadTx, Tx};

/// A reception to be stored.
#[derive(Clone, Debug)]
pub struct NewReception {
    /// Its id.
    pub id: VerificationId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that is to get the text.
    pub session_id: SessionId,
    /// The text, from [`text_index`].
    pub text_index: Blind,
    /// The only number that may send it, from [`phone_index`]; `None`: any may.
    pub phone_index: Option<Blind>,
    /// The same number, from [`seal_phone`].
    pub phone: Option<Sealed>,
    /// What for.
    pub purpose: String,
    /// From [`seal_metadata`].
    pub metadata: Option<Sealed>,
    /// Until when the text counts.
    pub expires_at: Timestamp,
    /// When it is deleted.
    pub keep_until: Timestamp,
    /// Now.
    pub created_at: Timestamp,
}

/// A reception. Whom it is about is sealed; see [`Reception::open`].
#[derive(Clone, Debug)]
pub struct Reception {
    /// Its id.
    pub id: VerificationId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that is to get the text.
    pub session_id: SessionId,
    phone: Option<Sealed>,
    /// What for.
    pub purpose: String,
    metadata: Option<Sealed>,
    /// How far it has come. One that is pending may be past its time.
    pub status: VerificationStatus,
    /// Until when the text counts.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

/// The sealed fields of a reception, opened.
#[derive(Clone)]
pub struct Open {
    /// The number in E.164, where it is known.
    pub phone: Option<String>,
    /// The caller's JSON.
    pub metadata: Option<Vec<u8>>,
}

/// Logs are written with `Debug`: numbers of people must not reach them.
impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open(***)")
    }
}

/// A text that came in.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// The text, from [`text_index`].
    pub text: Blind,
    /// Who sent it, from [`phone_index`].
    pub sender: Blind,
    /// The same in E.164.
    pub phone: &'a str,
    /// Now.
    pub at: Timestamp,
}

/// See [`Open`].
impl fmt::Debug for Arrival<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Reception {
    /// Opens the sealed fields.
    ///
    /// # Errors
    /// They are of another session, or were changed.
    pub fn open(&self, keys: &SessionKeys) -> Result<Open, StorageError> {
        let open = |column, sealed: &Option<Sealed>| {
            let sealed = sealed.as_ref();
            sealed
                .map(|sealed| keys.open(&place(self.id, column), sealed))
                .transpose()
        };
        let phone = open("phone", &self.phone)?;
        Ok(Open {
            phone: phone
                .map(String::from_utf8)
                .transpose()
                .map_err(|_| StorageError::Unreadable("phone"))?,
            metadata: open("metadata", &self.metadata)?,
        })
    }
}

fn place(id: VerificationId, column: &'static str) -> Place {
    Place::new("receptions", id.as_bytes(), column)
}

/// What stands in the index for a text.
pub fn text_index(keys: &SessionKeys, text: &str) -> Blind {
    keys.blind("reception", text)
}

/// What stands in the index for a number, of which every spelling must be the same `digits`.
pub fn phone_index(keys: &SessionKeys, digits: &str) -> Blind {
    keys.blind("phone", digits)
}

/// Seals a number for its row.
///
/// # Errors
/// Sealing failed.
pub fn seal_phone(keys: &SessionKeys, id: VerificationId, phone: &str) -> Result<Sealed, StorageError> {
    Ok(keys.seal(&place(id, "phone"), phone.as_bytes())?)
}

/// Seals the caller's JSON for its row.
///
/// # Errors
/// Sealing failed.
pub fn seal_metadata(keys: &SessionKeys, id: VerificationId, metadata: &[u8]) -> Result<Sealed, StorageError> {
    Ok(keys.seal(&place(id, "metadata"), metadata)?)
}

macro_rules! columns {
    () => {
        "id, workspace_id, session_id, phone, purpose, metadata, status, expires_at, created_at, finished_at"
    };
}

fn read(row: &mut Row) -> Result<Reception, StorageError> {
    Ok(Reception {
        id: row.take()?,
        workspace_id: row.take()?,
        session_id: row.take()?,
        phone: row.take()?,
        purpose: row.take()?,
        metadata: row.take()?,
        status: row.take()?,
        expires_at: row.take()?,
        created_at: row.take()?,
        finished_at: row.take()?,
    })
}

fn read_one(row: Option<Row>) -> Result<Option<Reception>, StorageError> {
    row.map(|mut row| read(&mut row)).transpose()
}

/// Stores a reception that waits for its text.
///
/// # Errors
/// [`StorageError::Conflict`] when the session waits for the same text already.
pub async fn insert(tx: &mut Tx, new: &NewReception) -> Result<(), StorageError> {
    tx.send(
        "insert into receptions (id, workspace_id, session_id, text_index, phone_index, phone, purpose, metadata, status,
             expires_at, keep_until, due_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10, $11, $12)",
        params![
            &new.id,
            &new.workspace_id,
            &new.session_id,
            &new.text_index,
            &new.phone_index,
            &new.phone,
            &new.purpose,
            &new.metadata,
            new.expires_at,
            new.keep_until,
            new.expires_at,
            new.created_at
        ],
    )
    .await
}

/// When a session that waits for `most` texts waits for fewer; `None`: it does already. On a server units that run beside each
/// other do not see each other's texts: this is a bound against floods, not a count.
///
/// # Errors
/// The database failed.
pub async fn next_free_at(
    tx: &mut ReadTx,
    session: SessionId,
    most: u32,
    now: Timestamp,
) -> Result<Option<Timestamp>, StorageError> {
    let sql = "select expires_at from receptions where session_id = $1 and status = 'pending' and expires_at > $2
               order by expires_at desc limit 1 offset $3";
    let row = tx.first(sql, params![&session, now, most.saturating_sub(1)]).await?;
    row.map(|mut row| row.take()).transpose()
}

/// Takes a text that came in, if it is one that the session of these keys waits for, of a number that may send it. The
/// reception is approved then, and has the number.
///
/// # Errors
/// The database failed.
pub async fn take(tx: &mut Tx, keys: &SessionKeys, arrival: &Arrival<'_>) -> Result<Option<Reception>, StorageError> {
    let sql = concat!(
        "update receptions set status = 'approved', phone_index = $4, finished_at = $3, due_at = keep_until
         where session_id = $1 and text_index = $2 and status = 'pending' and expires_at > $3
             and (phone_index is null or phone_index = $4)
         returning ",
        columns!()
    );
    let session = keys.session();
    let found = tx
        .first(sql, params![&session, arrival.text, arrival.at, arrival.sender])
        .await?;
    let Some(mut taken) = read_one(found)? else {
        return Ok(None);
    };
    if taken.phone.is_none() {
        // It is sealed for its row, which was not known before.
        let phone = seal_phone(keys, taken.id, arrival.phone)?;
        tx.send(
            "update receptions set phone = $2 where id = $1",
            params![&taken.id, &phone],
        )
        .await?;
        taken.phone = Some(phone);
    }
    Ok(Some(taken))
}

/// One reception of a workspace.
///
/// # Errors
/// The database failed.
pub async fn get(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    id: VerificationId,
) -> Result<Option<Reception>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from receptions where id = $1 and workspace_id = $2"
    );
    read_one(tx.first(sql, params![&id, &workspace]).await?)
}

/// Takes a reception back that is pending. `None`: it is not, or the workspace has none of this id.
///
/// # Errors
/// The database failed.
pub async fn cancel(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: VerificationId,
    now: Timestamp,
) -> Result<Option<Reception>, StorageError> {
    let sql = concat!(
        "update receptions set status = 'cancelled', finished_at = $3, due_at = keep_until
         where id = $1 and workspace_id = $2 and status = 'pending' and expires_at > $3 returning ",
        columns!()
    );
    read_one(tx.first(sql, params![&id, &workspace, now]).await?)
}

/// The next time at which something is due, of whatever workspace.
///
/// # Errors
/// The database failed.
pub async fn next_due_at(tx: &mut ReadTx) -> Result<Option<Timestamp>, StorageError> {
    let sql = "select due_at from receptions where due_at > 0 order by due_at limit 1";
    let row = tx.first(sql, &[]).await?;
    row.map(|mut row| row.take()).transpose()
}

/// What is due, the longest first, at most `limit`, of whatever workspace.
///
/// # Errors
/// The database failed.
pub async fn due(tx: &mut ReadTx, now: Timestamp, limit: u32) -> Result<Vec<Reception>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from receptions where due_at <= $1 order by due_at limit $2"
    );
    let rows = tx.query(sql, params![now, limit]).await?;
    rows.into_iter().map(|mut row| read(&mut row)).collect()
}

/// Ends a reception whose time is over. `None`: it is not, or somebody else ended it.
///
/// # Errors
/// The database failed.
pub async fn expire(tx: &mut Tx, id: VerificationId, now: Timestamp) -> Result<Option<Reception>, StorageError> {
    let sql = concat!(
        "update receptions set status = 'expired', finished_at = $2, due_at = keep_until
         where id = $1 and status = 'pending' and expires_at <= $2 returning ",
        columns!()
    );
    read_one(tx.first(sql, params![&id, now]).await?)
}

/// Deletes receptions that have been kept long enough, at most `limit`. Says how many.
///
/// # Errors
/// The database failed.
pub async fn delete_due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<u64, StorageError> {
    tx.execute(
        "delete from receptions where id in (
             select id from receptions where due_at <= $1 and status <> 'pending' order by due_at limit $2)",
        params![now, limit],
    )
    .await
}
