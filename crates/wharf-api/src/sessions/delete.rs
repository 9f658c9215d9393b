//! `DELETE /api/sessions/{id}`

use axum::extract::State;
use http::StatusCode;
use wharf_model::SessionId;

use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::WriteSessions;
use crate::state::ApiState;
use crate::wire::SessionIdText;

/// Delete a session
///
/// Logs it out, shreds its keys, and with them its messages and events.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "Sessions", security(("bearer" = ["sessions:write"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete_session(
    caller: Allowed<WriteSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
) -> Result<StatusCode, ApiError> {
    caller.require_session(id)?;
    let sessions = state.sessions.acting_for(caller.requester());
    sessions.delete(caller.workspace(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
