//! `GET /api/sessions/{id}/history`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use wharf_model::SessionId;
use wharf_storage::sessions::HistoryEntry;

use super::body::StatusText;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, Pagination, ValidQuery};
use crate::scope::ReadSessions;
use crate::state::ApiState;
use crate::wire::{List, SessionIdText, Time};

/// A change of a session's state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionHistoryEntry)]
pub(crate) struct HistoryBody {
    status: StatusText,
    at: Time,
    /// The stable code of why it is not connected.
    #[schema(required)]
    reason: Option<String>,
    /// One sentence about what is wrong.
    #[schema(required)]
    error: Option<String>,
    /// When it was to connect again on its own.
    #[schema(required)]
    next_attempt_at: Option<Time>,
}

impl From<HistoryEntry> for HistoryBody {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            status: entry.status.into(),
            at: Time(entry.at),
            reason: entry.reason,
            error: entry.error,
            next_attempt_at: entry.next_attempt_at.map(Time),
        }
    }
}

/// What happened to a session
///
/// Changes of state and reconnects with their reasons, newest first.
#[utoipa::path(get, path = "/api/sessions/{id}/history", tag = "Sessions",
    security(("bearer" = ["sessions:read"])),
    params(("id" = SessionIdText, Path, description = "The session"), Pagination),
    responses((status = 200, description = "A page of changes", body = List<HistoryBody>)))]
pub(crate) async fn get_session_history(
    caller: Allowed<ReadSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    ValidQuery(page): ValidQuery<Pagination>,
) -> Result<Json<List<HistoryBody>>, ApiError> {
    caller.require_session(id)?;
    let history = state.sessions.history(caller.workspace(), id, page.request()).await?;
    Ok(Json(List::of_page(history, HistoryBody::from)))
}
