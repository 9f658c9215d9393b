//! Calls about what phones send, show and read.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};

use super::phones::Listed;
use super::problem::{Body, Path, Problem};
use crate::model::{Chat, FileKind, NewFile};
use crate::sandbox::Sandbox;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendParams {
    to: String,
    text: Option<String>,
    file: Option<FileParams>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileParams {
    #[serde(rename = "type")]
    kind: FileKind,
    /// Base64.
    data: String,
    mime: Option<String>,
    caption: Option<String>,
    name: Option<String>,
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
    let id = match (params.text, params.file) {
        (Some(text), None) => sandbox.send_text(&phone, &params.to, &text).await?,
        (None, Some(file)) => sandbox.send_file(&phone, &params.to, file.read()?).await?,
        _ => return Err(invalid("a message has either a text or a file")),
    };
    Ok((StatusCode::ACCEPTED, Json(Sent { id })))
}

impl FileParams {
    fn read(self) -> Result<NewFile, Problem> {
        let bytes = BASE64_STANDARD.decode(self.data);
        Ok(NewFile {
            kind: self.kind,
            bytes: bytes.map_err(|_| invalid("the data of a file are base64"))?,
            mime: self.mime,
            caption: self.caption,
            name: self.name,
        })
    }
}

fn invalid(detail: &str) -> Problem {
    Problem {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        code: "invalid_body",
        detail: detail.to_owned(),
    }
}

/// The file of a message as it is, whatever a browser would make of it.
pub(super) async fn file(
    State(sandbox): State<Sandbox>,
    Path((phone, message)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    let bytes = sandbox.file(&phone, &message).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes))
}

#[derive(Debug, Serialize)]
pub(super) struct Expired {
    expired: usize,
}

pub(super) async fn expire_files(State(sandbox): State<Sandbox>) -> Json<Expired> {
    Json(Expired {
        expired: sandbox.expire_files(),
    })
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
