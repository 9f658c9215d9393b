//! A session as answers show it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wharf_model::SessionStatus;
use wharf_session::SessionView;

use super::pacing::Pacing;
use super::setup::DeviceBody;
use crate::wire::{SessionIdText, Time};

/// Where a session is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SessionStatus)]
pub(crate) enum StatusText {
    /// Never connected, or logged out.
    NotStarted,
    /// Waits for a person; `connection_step` says what for.
    Pending,
    /// The account knows us; the connection is being set up.
    Authenticated,
    /// Messages flow.
    Ready,
    /// The account refuses us.
    AuthFailed,
    /// Not connected; `disconnect_reason` says why.
    Disconnected,
}

impl From<SessionStatus> for StatusText {
    fn from(status: SessionStatus) -> Self {
        match status {
            SessionStatus::NotStarted => Self::NotStarted,
            SessionStatus::Pending => Self::Pending,
            SessionStatus::Authenticated => Self::Authenticated,
            SessionStatus::Ready => Self::Ready,
            SessionStatus::AuthFailed => Self::AuthFailed,
            SessionStatus::Disconnected => Self::Disconnected,
        }
    }
}

/// A linked WhatsApp account, or one to be linked.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    id: SessionIdText,
    name: String,
    status: StatusText,
    /// What a person must do now, while pending: `connecting` (nothing yet), `scan_qr`, `enter_code`,
    /// `passkey_required` or `passkey_confirm`.
    #[schema(required)]
    connection_step: Option<&'static str>,
    status_since: Time,
    /// When the QR that is shown stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    qr_expires_at: Option<Time>,
    /// When the pairing code that is shown stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pairing_code_expires_at: Option<Time>,
    #[schema(required)]
    last_qr_at: Option<Time>,
    #[schema(required)]
    authenticated_at: Option<Time>,
    #[schema(required)]
    ready_at: Option<Time>,
    #[schema(required)]
    auth_failed_at: Option<Time>,
    #[schema(required)]
    disconnected_at: Option<Time>,
    /// One sentence about what is wrong.
    #[schema(required)]
    error: Option<String>,
    /// The stable code of why it is not connected.
    #[schema(required, example = "connection_lost")]
    disconnect_reason: Option<&'static str>,
    /// When it connects again on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_attempt_at: Option<Time>,
    /// The account's number, E.164.
    #[schema(required)]
    phone_number: Option<String>,
    #[schema(required)]
    whatsapp_id: Option<String>,
    #[schema(required)]
    lid: Option<String>,
    #[schema(required)]
    profile_name: Option<String>,
    #[schema(required)]
    platform: Option<String>,
    /// Where the account's picture is. WhatsApp's address works for some days; it is asked for anew once a day at a login, and
    /// when the picture changes.
    #[schema(required)]
    profile_picture_url: Option<String>,
    /// The account's "about" text.
    #[schema(required)]
    status_message: Option<String>,
    /// When the session was connected last, once it is not any more.
    #[schema(required)]
    last_seen: Option<Time>,
    /// What it was created with.
    #[schema(required, value_type = Option<Object>)]
    metadata: Option<Value>,
    pacing: Pacing,
    /// What its connections go through, without user and password.
    #[schema(required, example = "socks5://proxy.example.com:1080")]
    proxy: Option<String>,
    /// What the phone's list of linked devices shows, where it does not follow the configuration.
    #[schema(required)]
    device: Option<DeviceBody>,
    /// When a copy of its credentials was exported. If the copy logs in, the two replace each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exported_at: Option<Time>,
    /// Since when its credentials are being moved: it stays off until `export/confirm` or `export/cancel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    moving_since: Option<Time>,
    /// The key or page that made it.
    #[schema(required)]
    created_by: Option<String>,
    created_at: Time,
    updated_at: Time,
}

impl From<SessionView> for SessionBody {
    fn from(view: SessionView) -> Self {
        let profile = view.profile.clone();
        Self {
            id: SessionIdText(view.id),
            status: view.status().into(),
            connection_step: view.connection_step().map(|step| step.as_str()),
            status_since: Time(view.since),
            qr_expires_at: view.qr_expires_at().map(Time),
            pairing_code_expires_at: view.code_expires_at().map(Time),
            last_qr_at: view.last_qr_at.map(Time),
            authenticated_at: view.authenticated_at.map(Time),
            ready_at: view.ready_at.map(Time),
            auth_failed_at: view.auth_failed_at.map(Time),
            disconnected_at: view.disconnected_at.map(Time),
            disconnect_reason: view.state.reason().map(|reason| reason.code()),
            next_attempt_at: view.state.next_attempt_at().map(Time),
            phone_number: profile.phone_number,
            whatsapp_id: profile.whatsapp_id,
            lid: profile.lid,
            profile_name: profile.profile_name,
            platform: profile.platform,
            profile_picture_url: profile.profile_picture_url,
            status_message: profile.status_message,
            last_seen: profile.last_seen.map(Time),
            name: view.name,
            error: view.error,
            metadata: view.metadata,
            pacing: view.pacing.into(),
            proxy: view.proxy.map(|proxy| proxy.to_string()),
            device: view.device.map(Into::into),
            exported_at: view.exported_at.map(Time),
            moving_since: view.moving_since.map(Time),
            created_by: view.created_by,
            created_at: Time(view.created_at),
            updated_at: Time(view.updated_at),
        }
    }
}
