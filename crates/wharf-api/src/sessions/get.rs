//! `GET /api/sessions/{id}`

use axum::Json;
use axum::extract::State;
use wharf_model::SessionId;

use super::body::SessionBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::ReadSessions;
use crate::state::ApiState;
use crate::wire::SessionIdText;

/// Get a session
#[utoipa::path(get, path = "/api/sessions/{id}", tag = "Sessions", security(("bearer" = ["sessions:read"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses((status = 200, description = "The session", body = SessionBody)))]
pub(crate) async fn get_session(
    caller: Allowed<ReadSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require_session(id)?;
    let session = state.sessions.get(caller.workspace(), id).await?;
    Ok(Json(session.into()))
}
