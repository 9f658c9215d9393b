//! `POST /api/sessions/{id}/export/confirm` and `POST /api/sessions/{id}/export/cancel`: how an export with `move` ends.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wharf_model::SessionId;

use super::body::SessionBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody};
use crate::idempotency::{Answer, Keep, Once};
use crate::scope::ExportSessions;
use crate::state::ApiState;
use crate::wire::{Nothing, SessionIdText};

/// Confirm a moved session
///
/// Says that the exported credentials work elsewhere: the keys here are shredded. WhatsApp is told nothing, so that the
/// device stays linked. The session itself stays, with its messages; connecting it shows a QR.
#[utoipa::path(post, path = "/api/sessions/{id}/export/confirm", tag = "Sessions",
    security(("bearer" = ["sessions:export"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses((status = 200, description = "Its keys are gone", body = SessionBody)))]
pub(crate) async fn confirm_export(
    caller: Allowed<ExportSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: OptionalBody<Nothing>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let (sessions, workspace) = (state.sessions.acting_for(caller.requester()), caller.workspace());
    let effect = async move {
        let session = sessions.finish_move(workspace, id).await?;
        Answer::json(StatusCode::OK, &SessionBody::from(session))
    };
    once.run(&state, &caller, &request.raw, Keep::Answer, effect).await
}

/// Cancel a move
///
/// Says that nobody uses the exported credentials: the session may connect again. If somebody does, the two replace each
/// other.
#[utoipa::path(post, path = "/api/sessions/{id}/export/cancel", tag = "Sessions",
    security(("bearer" = ["sessions:export"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses((status = 200, description = "It may connect again", body = SessionBody)))]
pub(crate) async fn cancel_export(
    caller: Allowed<ExportSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: OptionalBody<Nothing>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let (sessions, workspace) = (state.sessions.acting_for(caller.requester()), caller.workspace());
    let effect = async move {
        let session = sessions.cancel_move(workspace, id).await?;
        Answer::json(StatusCode::OK, &SessionBody::from(session))
    };
    once.run(&state, &caller, &request.raw, Keep::Answer, effect).await
}
