//! Session strings that are kept here and fetched by a short id, until they expire. Sealed with the workspace's key: they
//! outlive their session. Whoever has the id has the string, so that only hashes of ids stand in the rows.

use sha2::{Digest as _, Sha256};
use wharf_model::{SessionId, Timestamp, WorkspaceId};

use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::seal::{Place, Sealed, WorkspaceKeys};
use crate::unit::tx::{ReadTx, Tx};

/// What stands in a row for an id or a link's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultHash([u8; 32]);

impl VaultHash {
    /// Of an id or a token. They are random, 128 bits or more, so that nobody guesses what was hashed.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A string to be kept.
#[derive(Clone, Debug)]
pub struct NewKept {
    /// Of its id.
    pub hash: VaultHash,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The session that it was taken from; `None`: it was of no session of this server.
    pub session: Option<SessionId>,
    /// From [`seal`].
    pub content: Sealed,
    /// Of the token of a link that works once.
    pub link: Option<VaultHash>,
    /// When it goes.
    pub expires_at: Timestamp,
    /// Now.
    pub created_at: Timestamp,
}

/// A string that is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    hash: VaultHash,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The session that it was taken from; `None`: it was of no session of this server.
    pub session: Option<SessionId>,
    content: Sealed,
    /// When it goes.
    pub expires_at: Timestamp,
}

impl Kept {
    /// The string.
    ///
    /// # Errors
    /// The row was changed, or is of another workspace.
    pub fn open(&self, keys: &WorkspaceKeys) -> Result<Vec<u8>, StorageError> {
        Ok(keys.open(&place(self.hash), &self.content)?)
    }
}

/// Seals a string for its row.
///
/// # Errors
/// Sealing failed.
pub fn seal(keys: &WorkspaceKeys, hash: VaultHash, string: &[u8]) -> Result<Sealed, StorageError> {
    Ok(keys.seal(&place(hash), string)?)
}

fn place(hash: VaultHash) -> Place {
    Place::new("vault", &hash.0, "content")
}

/// Keeps a string.
///
/// # Errors
/// The database failed.
pub async fn insert(tx: &mut Tx, new: &NewKept) -> Result<(), StorageError> {
    tx.send(
        "insert into vault (hash, workspace_id, session_id, content, link_hash, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        params![
            &new.hash.0,
            &new.workspace,
            new.session.as_ref(),
            &new.content,
            new.link.map(|link| link.0),
            new.expires_at,
            new.created_at
        ],
    )
    .await
}

/// A string of a workspace that is not over yet.
///
/// # Errors
/// The database failed.
pub async fn find(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    hash: VaultHash,
    now: Timestamp,
) -> Result<Option<Kept>, StorageError> {
    let sql = "select hash, workspace_id, session_id, content, expires_at from vault
               where hash = $1 and workspace_id = $2 and expires_at > $3";
    let row = tx.first(sql, params![&hash.0, &workspace, now]).await?;
    row.map(|mut row| read(&mut row)).transpose()
}

/// The string that a link's token leads to, of whatever workspace; the link works no more after that.
///
/// # Errors
/// The database failed.
pub async fn take_link(tx: &mut Tx, link: VaultHash, now: Timestamp) -> Result<Option<Kept>, StorageError> {
    let sql = "update vault set link_hash = null where link_hash = $1 and expires_at > $2
               returning hash, workspace_id, session_id, content, expires_at";
    let row = tx.first(sql, params![&link.0, now]).await?;
    row.map(|mut row| read(&mut row)).transpose()
}

/// Deletes a string of a workspace. `false`: there was none.
///
/// # Errors
/// The database failed.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, hash: VaultHash) -> Result<bool, StorageError> {
    let sql = "delete from vault where hash = $1 and workspace_id = $2";
    Ok(tx.execute(sql, params![&hash.0, &workspace]).await? > 0)
}

/// Deletes at most `limit` strings that are over. Says how many.
///
/// # Errors
/// The database failed.
pub async fn prune(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<u64, StorageError> {
    tx.execute(
        "delete from vault where hash in (
             select hash from vault where expires_at <= $1 order by expires_at limit $2)",
        params![now, i64::from(limit)],
    )
    .await
}

fn read(row: &mut Row) -> Result<Kept, StorageError> {
    Ok(Kept {
        hash: VaultHash(row.take()?),
        workspace: row.take()?,
        session: row.take()?,
        content: row.take()?,
        expires_at: row.take()?,
    })
}
