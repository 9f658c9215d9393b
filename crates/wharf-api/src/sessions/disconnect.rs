//! `POST /api/sessions/{id}/disconnect`

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wharf_model::SessionId;

use super::body::SessionBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody};
use crate::idempotency::{Answer, Keep, Once};
use crate::scope::WriteSessions;
use crate::state::ApiState;
use crate::wire::{Nothing, SessionIdText};

/// Disconnect a session
///
/// Closes the connection and leaves it closed. Its keys stay: connecting again needs no QR.
#[utoipa::path(post, path = "/api/sessions/{id}/disconnect", tag = "Sessions",
    security(("bearer" = ["sessions:write"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses((status = 202, description = "It is disconnected", body = SessionBody)))]
pub(crate) async fn disconnect_session(
    caller: Allowed<WriteSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: OptionalBody<Nothing>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let (sessions, workspace) = (state.sessions.acting_for(caller.requester()), caller.workspace());
    let effect = async move {
        let session = sessions.disconnect(workspace, id).await?;
        Answer::json(StatusCode::ACCEPTED, &SessionBody::from(session))
    };
    once.run(&state, &caller, &request.raw, Keep::Answer, effect).await
}
