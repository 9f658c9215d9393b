//! Sessions: what each should be, what it is, who owns it. Only the session's actor writes its state, and it says with
//! every write under which epoch; the API writes what people decide (name, metadata, wanted) and never the state.

mod history;
mod lifecycle;
mod profile;
mod row;
mod state;

pub use history::{HistoryEntry, history};
pub use lifecycle::{
    delete, due_for_shredding, note_export, purge_deleted, set_moving, set_unlinked, shred_signal_state,
};
pub use profile::SessionProfile;
pub use row::{Session, Wanted};
pub use state::{Fence, StateChange, claim, note_qr, record_state, renew_lease, set_fingerprint, set_profile};

pub(crate) use state::check_epoch;

use wharf_model::{Network, PacingPolicy, SessionId, SessionStatus, Timestamp, WorkspaceId};

use crate::cursor::{Page, PageRequest};
use crate::data_keys::{self, NewSessionKeys};
use crate::driver::value::params;
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::Sealed;
use crate::unit::tx::{ReadTx, Tx};
use row::columns;

const LIST: &str = "sessions";

/// A session to be stored: `not_started` and `stopped`.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// The network of this build.
    pub network: Network,
    /// `{os, browser}` as JSON.
    pub device: Option<String>,
    /// Limits of its own.
    pub pacing: Option<PacingPolicy>,
    /// Sealed JSON, `Place::session(id, "metadata")`.
    pub metadata: Option<Sealed>,
    /// Sealed, `Place::session(id, "proxy")`.
    pub proxy: Option<Sealed>,
    /// From [`crate::Storage::new_session_keys`].
    pub keys: NewSessionKeys,
    /// Which linked device it is, where its credentials come from elsewhere.
    pub fingerprint: Option<String>,
    /// How many owners it has had elsewhere; see [`Fence`].
    pub epoch: i64,
    /// Who makes it.
    pub created_by: Option<String>,
    /// Now.
    pub created_at: Timestamp,
}

/// What a person may change; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Clone, Debug, Default)]
pub struct SessionPatch {
    /// The name.
    pub name: Option<String>,
    /// The sealed metadata.
    pub metadata: Option<Option<Sealed>>,
    /// The sealed proxy.
    pub proxy: Option<Option<Sealed>>,
    /// The limits.
    pub pacing: Option<Option<PacingPolicy>>,
}

/// Stores a session with its keys.
///
/// # Errors
/// [`StorageError::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, session: &NewSession) -> Result<(), StorageError> {
    let pacing = session.pacing.as_ref().map(row::pacing_to_json);
    tx.execute(
        "insert into sessions (id, workspace_id, name, network, wanted, status, status_since, device, pacing, metadata,
             proxy, fingerprint, created_by, epoch, created_at, updated_at)
         values ($1, $2, $3, $4, 'stopped', $5, $6, $7, $8, $9, $10, $11, $12, $13, $6, $6)",
        params![
            &session.id,
            &session.workspace_id,
            &session.name,
            session.network,
            SessionStatus::NotStarted,
            session.created_at,
            &session.device,
            &pacing,
            &session.metadata,
            &session.proxy,
            &session.fingerprint,
            &session.created_by,
            session.epoch
        ],
    )
    .await?;
    data_keys::insert(tx, &session.keys.content, session.created_at).await?;
    data_keys::insert(tx, &session.keys.signal, session.created_at).await
}

/// The session that is linked as this device, in whatever workspace. Nobody else asks until the unit has ended, so that
/// of two that bring the same device in one finds the other.
///
/// # Errors
/// The database failed.
pub async fn linked_as(tx: &mut Tx, fingerprint: &str) -> Result<Option<(WorkspaceId, SessionId)>, StorageError> {
    tx.lock(Lock::Devices).await?;
    let sql = "select workspace_id, id from sessions
               where fingerprint = $1 and unlinked_at is null and deleted_at is null limit 1";
    let found = tx.first(sql, params![fingerprint]).await?;
    found.map(|mut row| Ok((row.take()?, row.take()?))).transpose()
}

/// One session of a workspace; deleted ones are gone.
///
/// # Errors
/// The database failed.
pub async fn get(tx: &mut ReadTx, workspace: WorkspaceId, id: SessionId) -> Result<Option<Session>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from sessions where workspace_id = $1 and id = $2 and deleted_at is null"
    );
    let found = tx.first(sql, params![&workspace, &id]).await?;
    Ok(found
        .map(|mut found| row::read(&mut found))
        .transpose()?
        .map(|(_, session)| session))
}

/// Whether a workspace has a session; deleted ones are gone.
///
/// # Errors
/// The database failed.
pub async fn exists(tx: &mut ReadTx, workspace: WorkspaceId, id: SessionId) -> Result<bool, StorageError> {
    let sql = "select 1 from sessions where workspace_id = $1 and id = $2 and deleted_at is null";
    Ok(tx.first(sql, params![&workspace, &id]).await?.is_some())
}

/// One session for its actor and the supervisor, whose ids come from rows.
///
/// # Errors
/// The database failed.
pub async fn load(tx: &mut ReadTx, id: SessionId) -> Result<Option<Session>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from sessions where id = $1 and deleted_at is null"
    );
    let found = tx.first(sql, params![&id]).await?;
    Ok(found
        .map(|mut found| row::read(&mut found))
        .transpose()?
        .map(|(_, session)| session))
}

/// The sessions of a workspace, newest first.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn list(tx: &mut ReadTx, workspace: WorkspaceId, page: &PageRequest) -> Result<Page<Session>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from sessions where workspace_id = $1 and seq < $2 and deleted_at is null order by seq desc limit $3"
    );
    let found = tx
        .query(sql, params![&workspace, page.below(LIST, workspace)?, page.fetch()])
        .await?;
    let sessions = found.into_iter().map(|mut found| row::read(&mut found));
    Ok(Page::cut(sessions.collect::<Result<_, _>>()?, page, LIST, workspace))
}

/// Every session of every workspace that should be anything but left alone, oldest first: what the supervisor compares
/// with the actors that run.
///
/// # Errors
/// The database failed.
pub async fn wanted(tx: &mut ReadTx) -> Result<Vec<Session>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from sessions where wanted <> 'stopped' and deleted_at is null order by seq"
    );
    let found = tx.query(sql, &[]).await?;
    found
        .into_iter()
        .map(|mut found| row::read(&mut found).map(|(_, session)| session))
        .collect()
}

/// Says what a session should be. The supervisor makes it so.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such session.
pub async fn set_wanted(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: SessionId,
    wanted: Wanted,
    now: Timestamp,
) -> Result<(), StorageError> {
    let changed = tx
        .execute(
            "update sessions set wanted = $3, updated_at = $4
             where workspace_id = $1 and id = $2 and deleted_at is null",
            params![&workspace, &id, wanted.as_str(), now],
        )
        .await?;
    found(changed)
}

/// Changes what a person may change.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such session.
pub async fn patch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: SessionId,
    patch: &SessionPatch,
    now: Timestamp,
) -> Result<(), StorageError> {
    // What is not named is written back as it was read: nobody else changes it meanwhile.
    tx.lock(Lock::Changed(id)).await?;
    let session = get(tx, workspace, id).await?.ok_or(StorageError::NotFound("session"))?;
    let name = patch.name.as_ref().unwrap_or(&session.name);
    let metadata = patch.metadata.as_ref().unwrap_or(&session.metadata);
    let proxy = patch.proxy.as_ref().unwrap_or(&session.proxy);
    let pacing = patch
        .pacing
        .as_ref()
        .unwrap_or(&session.pacing)
        .as_ref()
        .map(row::pacing_to_json);
    let changed = tx
        .execute(
            "update sessions set name = $2, metadata = $3, proxy = $4, pacing = $5, updated_at = $6 where id = $1",
            params![&id, name, metadata, proxy, &pacing, now],
        )
        .await?;
    found(changed)
}

fn found(changed: u64) -> Result<(), StorageError> {
    if changed == 0 {
        Err(StorageError::NotFound("session"))
    } else {
        Ok(())
    }
}
