//! `GET /api/messages/{id}`

use axum::Json;
use axum::extract::State;
use wharf_model::MessageId;

use super::body::MessageBody;
use super::errors::of_message;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::ReadMessages;
use crate::state::ApiState;
use crate::wire::MessageIdText;

/// Get a message
///
/// With its timeline: every status with its time.
#[utoipa::path(get, path = "/api/messages/{id}", tag = "Messages", security(("bearer" = ["messages:read"])),
    params(("id" = MessageIdText, Path, description = "The message")),
    responses((status = 200, description = "The message", body = MessageBody)))]
pub(crate) async fn get_message(
    caller: Allowed<ReadMessages>,
    State(state): State<ApiState>,
    Id(id): Id<MessageId>,
) -> Result<Json<MessageBody>, ApiError> {
    let message = state
        .sessions
        .message(caller.workspace(), id)
        .await
        .map_err(of_message)?;
    if !caller.sees(message.session_id) {
        return Err(ApiError::MessageNotFound);
    }
    Ok(Json(message.into()))
}
