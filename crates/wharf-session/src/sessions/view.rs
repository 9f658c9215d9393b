//! What callers of the facade see: opened, and with the live state on top of what is stored.

use serde_json::Value;
use wharf_model::{
    CloseReason, Content, ContentKind, Device, Direction, Lane, MessageId, MessageStatus, Network, PacingPolicy,
    PendingStep, Proxy, SessionId, SessionState, SessionStatus, Timestamp, WorkspaceId,
};
use wharf_storage::messages::{Message, TimelineEntry, Wording};
use wharf_storage::sessions::{Session, SessionProfile};
use wharf_storage::{Place, SessionKeys, StorageError};

use crate::content;
use crate::live::Live;
use crate::port::ClientSetup;
use crate::setup::setup;

/// A session.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// The network it lives on.
    pub network: Network,
    /// Where it is, with what that state carries.
    pub state: SessionState,
    /// Since when.
    pub since: Timestamp,
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
    /// Who the account is.
    pub profile: SessionProfile,
    /// The caller's own JSON.
    pub metadata: Option<Value>,
    /// The limits in force.
    pub pacing: PacingPolicy,
    /// What its connections go through.
    pub proxy: Option<Proxy>,
    /// What it calls itself, where it does not follow the configuration.
    pub device: Option<Device>,
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

impl SessionView {
    /// The status without its data.
    pub const fn status(&self) -> SessionStatus {
        self.state.status()
    }

    /// What a person must do now.
    pub const fn connection_step(&self) -> Option<PendingStep> {
        match self.state {
            SessionState::Pending(step) => Some(step),
            _ => None,
        }
    }

    /// When the pairing code that is shown stops working.
    pub const fn code_expires_at(&self) -> Option<Timestamp> {
        match self.state {
            SessionState::Pending(PendingStep::EnterCode { expires_at }) => Some(expires_at),
            _ => None,
        }
    }

    /// When the QR that is shown stops working.
    pub const fn qr_expires_at(&self) -> Option<Timestamp> {
        match self.state {
            SessionState::Pending(PendingStep::ScanQr { expires_at }) => Some(expires_at),
            _ => None,
        }
    }

    pub(crate) fn new(
        row: Session,
        live: Option<Live>,
        keys: &SessionKeys,
        pacing: &PacingPolicy,
    ) -> Result<Self, StorageError> {
        let (state, since) = live.map_or_else(|| (state_of(&row), row.status_since), |live| (live.state, live.since));
        let profile = row
            .profile
            .as_ref()
            .map(|sealed| SessionProfile::open(keys, sealed))
            .transpose()?;
        let metadata = row
            .metadata
            .as_ref()
            .map(|sealed| open_metadata(row.id, keys, sealed))
            .transpose()?;
        let ClientSetup { proxy, device } = setup(&row, keys)?;
        Ok(Self {
            id: row.id,
            workspace: row.workspace_id,
            name: row.name,
            network: row.network,
            state,
            since,
            last_qr_at: row.last_qr_at,
            authenticated_at: row.authenticated_at,
            ready_at: row.ready_at,
            auth_failed_at: row.auth_failed_at,
            disconnected_at: row.disconnected_at,
            error: row.error,
            profile: profile.unwrap_or_default(),
            metadata,
            pacing: row.pacing.unwrap_or_else(|| pacing.clone()),
            proxy,
            device,
            exported_at: row.exported_at,
            moving_since: row.moving_since,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn open_metadata(
    session: SessionId,
    keys: &SessionKeys,
    sealed: &wharf_storage::Sealed,
) -> Result<Value, StorageError> {
    let bytes = keys.open(&Place::session(session, "metadata"), sealed)?;
    serde_json::from_slice(&bytes).map_err(|_| StorageError::Unreadable("metadata"))
}

/// The state that a row tells of, as far as it is stored.
pub(crate) fn state_of(row: &Session) -> SessionState {
    let reason = row.disconnect_reason.as_deref().and_then(|code| code.parse().ok());
    let reason: CloseReason = reason.unwrap_or(CloseReason::ConnectionLost);
    match row.status {
        SessionStatus::NotStarted => SessionState::NotStarted,
        SessionStatus::Pending => SessionState::Pending(PendingStep::Connecting),
        SessionStatus::Authenticated => SessionState::Authenticated,
        SessionStatus::Ready => SessionState::Ready,
        SessionStatus::AuthFailed => SessionState::AuthFailed { reason },
        SessionStatus::Disconnected => SessionState::Disconnected {
            reason,
            attempt: 0,
            next_attempt_at: row.next_attempt_at,
        },
    }
}

/// A message.
#[derive(Clone, Debug)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// The session that sends it or got it.
    pub session_id: SessionId,
    /// Which way it goes.
    pub direction: Direction,
    /// The lane; inbound messages have none.
    pub lane: Option<Lane>,
    /// The chat's jid.
    pub chat: String,
    /// `to` as it was given, or the sender's jid.
    pub peer: Option<String>,
    /// The kind of its content.
    pub kind: ContentKind,
    /// What it says; never there for lane `otp`, nor once it was wiped.
    pub content: Option<Content>,
    /// Lane `otp`: which text it is, and in which language.
    pub wording: Option<Wording>,
    /// WhatsApp's id of it.
    pub whatsapp_id: String,
    /// How far it has come.
    pub status: MessageStatus,
    /// Why it failed or waits; see [`crate::FailureCode`].
    pub code: Option<String>,
    /// Not to be sent before.
    pub send_at: Timestamp,
    /// Not to be sent after.
    pub expires_at: Option<Timestamp>,
    /// Waits until then.
    pub retry_at: Option<Timestamp>,
    /// When it was accepted or came in.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// When the server had it, or when the sender sent it.
    pub sent_at: Option<Timestamp>,
    /// When the recipient's device had it.
    pub delivered_at: Option<Timestamp>,
    /// When the recipient saw it.
    pub read_at: Option<Timestamp>,
    /// The caller's own JSON.
    pub metadata: Option<Value>,
    /// Every step; only where one message was asked for.
    pub timeline: Vec<TimelineEntry>,
}

impl MessageView {
    pub(crate) fn new(row: Message, timeline: Vec<TimelineEntry>, keys: &SessionKeys) -> Result<Self, StorageError> {
        let open = row.open(keys)?;
        let shown = open.body.filter(|_| row.lane != Some(Lane::Otp));
        let metadata = open.metadata.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        Ok(Self {
            id: row.id,
            session_id: row.session_id,
            direction: row.direction,
            lane: row.lane,
            chat: open.chat,
            peer: open.peer,
            kind: row.kind,
            // Content of a later version is shown as missing rather than as an error for the whole list.
            content: shown.and_then(|body| content::decode(&body).ok()),
            wording: row.wording,
            whatsapp_id: row.whatsapp_id,
            status: row.status,
            code: row.code,
            send_at: row.due_at,
            expires_at: row.expires_at,
            retry_at: row.retry_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            read_at: row.read_at,
            metadata: metadata.map_err(|_| StorageError::Unreadable("metadata"))?,
            timeline,
        })
    }
}
