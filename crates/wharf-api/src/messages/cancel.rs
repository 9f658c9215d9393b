//! `POST /api/messages/{id}/cancel`

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wharf_model::{MessageId, MessageStatus, WorkspaceId};
use wharf_session::Sessions;

use super::body::MessageBody;
use super::errors::of_message;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody};
use crate::idempotency::{Answer, Keep, Once};
use crate::scope::SendMessages;
use crate::state::ApiState;
use crate::wire::{MessageIdText, Nothing};

/// Take a message back
///
/// Only while it is queued; later it is 409 `message_not_cancellable`.
#[utoipa::path(post, path = "/api/messages/{id}/cancel", tag = "Messages",
    security(("bearer" = ["messages:send"])),
    params(("id" = MessageIdText, Path, description = "The message")),
    responses((status = 202, description = "The message, cancelled", body = MessageBody)))]
pub(crate) async fn cancel_message(
    caller: Allowed<SendMessages>,
    State(state): State<ApiState>,
    Id(id): Id<MessageId>,
    once: Once,
    request: OptionalBody<Nothing>,
) -> Result<Response, ApiError> {
    let message = state
        .sessions
        .message(caller.workspace(), id)
        .await
        .map_err(of_message)?;
    if !caller.sees(message.session_id) {
        return Err(ApiError::MessageNotFound);
    }
    let effect = cancel(state.sessions.clone(), caller.workspace(), id);
    once.run(&state, &caller, &request.raw, Keep::Answer, effect).await
}

async fn cancel(sessions: Sessions, workspace: WorkspaceId, id: MessageId) -> Result<Answer, ApiError> {
    let message = sessions.cancel(workspace, id).await.map_err(of_message)?;
    if message.status != MessageStatus::Cancelled {
        return Err(ApiError::MessageNotCancellable(message.status));
    }
    Answer::json(StatusCode::ACCEPTED, &MessageBody::from(message))
}
