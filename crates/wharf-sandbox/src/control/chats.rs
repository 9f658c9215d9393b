//! Calls about what phones send, show and read.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::phones::Listed;
use super::problem::{Body, Path, Problem};
use crate::model::Chat;
use crate::sandbox::Sandbox;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendParams {
    to: String,
    text: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Sent {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadParams {
    chat: String,
}

pub(super) async fn send(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<SendParams>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let id = sandbox.send_text(&phone, &params.to, &params.text).await?;
    Ok((StatusCode::ACCEPTED, Json(Sent { id })))
}

pub(super) async fn list(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
) -> Result<Json<Listed<Chat>>, Problem> {
    Ok(Json(Listed {
        data: sandbox.chats(&phone).await?,
    }))
}

pub(super) async fn read(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<ReadParams>,
) -> Result<StatusCode, Problem> {
    sandbox.mark_read(&phone, &params.chat).await?;
    Ok(StatusCode::ACCEPTED)
}
