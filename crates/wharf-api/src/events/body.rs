//! An event as answers show it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wharf_storage::events::LoggedEvent;

use crate::error::ApiError;
use crate::state::ApiState;
use crate::wire::{EventIdText, SessionIdText, Time, WorkspaceIdText};

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    id: EventIdText,
    /// `group.what`, such as `message.sent`.
    #[serde(rename = "type")]
    #[schema(pattern = "^[a-z_]+\\.[a-z_]+$", example = "message.sent")]
    kind: &'static str,
    /// Its place in the log: an opaque text, to be sent as `after` or `Last-Event-ID`.
    seq: String,
    created_at: Time,
    workspace_id: WorkspaceIdText,
    /// The session that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    session_id: Option<SessionIdText>,
    /// What the thing that it is about was created with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    metadata: Option<Value>,
    /// What happened; the shape depends on the type. Null when its session was deleted since, keys and all.
    #[schema(required, value_type = Option<Object>)]
    data: Option<Value>,
}

impl EventBody {
    /// Opens a stored event.
    pub(crate) async fn open(state: &ApiState, logged: LoggedEvent) -> Result<Self, ApiError> {
        let LoggedEvent { event, cursor } = logged;
        let data = state.storage.open_event(&event).await?;
        let data = data.map(|data| serde_json::from_slice(&data)).transpose();
        let mut data: Option<Value> = data.map_err(ApiError::internal)?;
        let metadata = data
            .as_mut()
            .and_then(Value::as_object_mut)
            .and_then(|data| data.remove("metadata"));
        Ok(Self {
            id: EventIdText(event.id),
            kind: event.kind.as_str(),
            seq: cursor.to_string(),
            created_at: Time(event.created_at),
            workspace_id: WorkspaceIdText(event.workspace_id),
            session_id: event.session_id.map(SessionIdText),
            metadata: metadata.filter(|metadata| !metadata.is_null()),
            data,
        })
    }

    pub(super) fn seq(&self) -> &str {
        &self.seq
    }

    pub(super) const fn kind(&self) -> &'static str {
        self.kind
    }
}
