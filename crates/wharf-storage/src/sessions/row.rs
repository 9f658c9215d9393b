//! A session as its row holds it.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_model::{Network, PacingPolicy, SessionId, SessionStatus, Timestamp, WorkspaceId};

use crate::driver::value::Row;
use crate::error::StorageError;
use crate::seal::Sealed;

/// What people want a session to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Kept connected by the supervisor.
    Connected,
    /// Left alone.
    Stopped,
    /// Unlinked at WhatsApp and its keys shredded; left alone once that is done.
    LoggedOut,
    /// Logged out, then gone.
    Deleted,
}

impl Wanted {
    /// The stable name in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Stopped => "stopped",
            Self::LoggedOut => "logged_out",
            Self::Deleted => "deleted",
        }
    }
}

/// A session. The sealed fields open with [`crate::Storage::session_keys`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// The network it lives on.
    pub network: Network,
    /// What it should be.
    pub wanted: Wanted,
    /// What it is.
    pub status: SessionStatus,
    /// Since when.
    pub status_since: Timestamp,
    /// When a QR was shown last.
    pub last_qr_at: Option<Timestamp>,
    /// When it was authenticated last.
    pub authenticated_at: Option<Timestamp>,
    /// When it was ready last.
    pub ready_at: Option<Timestamp>,
    /// When authentication failed last.
    pub auth_failed_at: Option<Timestamp>,
    /// When it was disconnected last.
    pub disconnected_at: Option<Timestamp>,
    /// One sentence about what is wrong.
    pub error: Option<String>,
    /// The stable code of the close reason.
    pub disconnect_reason: Option<String>,
    /// When the next attempt is.
    pub next_attempt_at: Option<Timestamp>,
    /// `{os, browser}` as JSON.
    pub device: Option<String>,
    /// Limits of its own.
    pub pacing: Option<PacingPolicy>,
    /// Sealed [`super::SessionProfile`].
    pub profile: Option<Sealed>,
    /// Sealed JSON, `Place::session(id, "metadata")`.
    pub metadata: Option<Sealed>,
    /// Sealed, `Place::session(id, "proxy")`.
    pub proxy: Option<Sealed>,
    /// The node that runs it.
    pub owner: Option<String>,
    /// Counts its owners; see [`super::Fence`].
    pub epoch: i64,
    /// Until when the owner has it.
    pub lease_until: Option<Timestamp>,
    /// When it was unlinked for good.
    pub unlinked_at: Option<Timestamp>,
    /// When its signal state will be shredded.
    pub keys_shred_at: Option<Timestamp>,
    /// Which linked device it is; `None` until it is linked.
    pub fingerprint: Option<String>,
    /// When a copy of its credentials was taken that can log in as well.
    pub exported_at: Option<Timestamp>,
    /// Since when its credentials are on their way to another program; it stays off until that is settled.
    pub moving_since: Option<Timestamp>,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

macro_rules! columns {
    () => {
        "seq, id, workspace_id, name, network, wanted, status, status_since, last_qr_at, authenticated_at, ready_at,
         auth_failed_at, disconnected_at, error, disconnect_reason, next_attempt_at, device, pacing, profile, metadata,
         proxy, owner, epoch, lease_until, unlinked_at, keys_shred_at, fingerprint, exported_at, moving_since,
         created_by, created_at, updated_at"
    };
}
pub(crate) use columns;

/// Reads a row of `columns!()`.
pub(crate) fn read(row: &mut Row) -> Result<(i64, Session), StorageError> {
    let seq = row.take()?;
    let session = Session {
        id: row.take()?,
        workspace_id: row.take()?,
        name: row.take()?,
        network: row.take()?,
        wanted: wanted_from(&row.take::<String>()?)?,
        status: row.take()?,
        status_since: row.take()?,
        last_qr_at: row.take()?,
        authenticated_at: row.take()?,
        ready_at: row.take()?,
        auth_failed_at: row.take()?,
        disconnected_at: row.take()?,
        error: row.take()?,
        disconnect_reason: row.take()?,
        next_attempt_at: row.take()?,
        device: row.take()?,
        pacing: row
            .take::<Option<String>>()?
            .as_deref()
            .map(pacing_from_json)
            .transpose()?,
        profile: row.take()?,
        metadata: row.take()?,
        proxy: row.take()?,
        owner: row.take()?,
        epoch: row.take()?,
        lease_until: row.take()?,
        unlinked_at: row.take()?,
        keys_shred_at: row.take()?,
        fingerprint: row.take()?,
        exported_at: row.take()?,
        moving_since: row.take()?,
        created_by: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
    };
    Ok((seq, session))
}

fn wanted_from(text: &str) -> Result<Wanted, StorageError> {
    match text {
        "connected" => Ok(Wanted::Connected),
        "stopped" => Ok(Wanted::Stopped),
        "logged_out" => Ok(Wanted::LoggedOut),
        "deleted" => Ok(Wanted::Deleted),
        _ => Err(StorageError::Unreadable("wanted state")),
    }
}

pub(crate) fn pacing_to_json(pacing: &PacingPolicy) -> String {
    json!({
        "per_minute": pacing.per_minute,
        "gap_min_ms": millis(pacing.gap_min),
        "gap_max_ms": millis(pacing.gap_max),
        "per_recipient_ms": millis(pacing.per_recipient),
        "new_chats_per_day": pacing.new_chats_per_day,
        "unsafe_open": pacing.unsafe_open,
    })
    .to_string()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn pacing_from_json(text: &str) -> Result<PacingPolicy, StorageError> {
    let unreadable = || StorageError::Unreadable("pacing");
    let value: Value = serde_json::from_str(text).map_err(|_| unreadable())?;
    let number = |name: &str| value[name].as_u64().ok_or_else(unreadable);
    let count = |name: &str| number(name).and_then(|number| u32::try_from(number).map_err(|_| unreadable()));
    Ok(PacingPolicy {
        per_minute: count("per_minute")?,
        gap_min: Duration::from_millis(number("gap_min_ms")?),
        gap_max: Duration::from_millis(number("gap_max_ms")?),
        per_recipient: Duration::from_millis(number("per_recipient_ms")?),
        new_chats_per_day: count("new_chats_per_day")?,
        unsafe_open: value["unsafe_open"].as_bool().ok_or_else(unreadable)?,
    })
}
