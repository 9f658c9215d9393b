//! Calls about what phones send, show and read.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::phones::Listed;
use super::problem::{Body, Path, Problem};
use crate::model::{
    Chat, FileKind, NewContact, NewEdit, NewFile, NewLocation, NewMessage, NewPoll, NewReaction, NewRevoke, NewVote,
    Typing,
};
use crate::sandbox::Sandbox;

/// One of the ways to say something, to somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendParams {
    to: String,
    text: Option<String>,
    reply_to: Option<String>,
    #[serde(default)]
    mentions: Vec<String>,
    expires_in: Option<u32>,
    file: Option<FileParams>,
    location: Option<NewLocation>,
    contact: Option<NewContact>,
    poll: Option<NewPoll>,
    vote: Option<NewVote>,
    reaction: Option<NewReaction>,
    edit: Option<NewEdit>,
    revoke: Option<NewRevoke>,
}

#[derive(Debug, Deserialize, ToSchema)]
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

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sent {
    id: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadParams {
    chat: String,
}

/// Say something
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/send", tag = "Messages",
    params(("phone" = String, Path, description = "Its number")),
    request_body = SendParams,
    responses((status = 202, description = "Queued for every device", body = Sent)))]
pub(super) async fn send(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<SendParams>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let to = params.to.clone();
    let id = sandbox.send(&phone, &to, params.read()?).await?;
    Ok((StatusCode::ACCEPTED, Json(Sent { id })))
}

impl SendParams {
    fn read(self) -> Result<NewMessage, Problem> {
        let plain = self.reply_to.is_none() && self.mentions.is_empty() && self.expires_in.is_none();
        let said = [
            self.text.map(|text| {
                Ok(NewMessage::Text {
                    text,
                    reply_to: self.reply_to,
                    mentions: self.mentions,
                    expires_in: self.expires_in,
                })
            }),
            self.file.map(|file| file.read().map(NewMessage::File)),
            self.location.map(NewMessage::Location).map(Ok),
            self.contact.map(NewMessage::Contact).map(Ok),
            self.poll.map(NewMessage::Poll).map(Ok),
            self.vote.map(NewMessage::Vote).map(Ok),
            self.reaction.map(NewMessage::Reaction).map(Ok),
            self.edit.map(NewMessage::Edit).map(Ok),
            self.revoke.map(NewMessage::Revoke).map(Ok),
        ];
        let mut said = said.into_iter().flatten();
        match (said.next(), said.next()) {
            (Some(message), None) if plain || matches!(message, Ok(NewMessage::Text { .. })) => message,
            (Some(_), None) => Err(invalid("only a text answers, mentions and disappears")),
            _ => Err(invalid(
                "a message is one of: text, file, location, contact, poll, vote, reaction, edit, revoke",
            )),
        }
    }
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

/// The file of a message, decrypted
///
/// The file of a message as it is, whatever a browser would make of it.
#[utoipa::path(get, path = "/sandbox/api/phones/{phone}/files/{message}", tag = "Messages",
    params(("phone" = String, Path, description = "Its number"), ("message" = String, Path, description = "Id of a message")),
    responses((status = 200, description = "Its bytes", body = Vec<u8>, content_type = "application/octet-stream")))]
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

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Expired {
    expired: usize,
}

/// Let the addresses of all files run out
#[utoipa::path(post, path = "/sandbox/api/files/expire", tag = "Network",
    responses((status = 200, description = "How many worked until now", body = Expired)))]
pub(super) async fn expire_files(State(sandbox): State<Sandbox>) -> Json<Expired> {
    Json(Expired {
        expired: sandbox.expire_files(),
    })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TypingParams {
    to: String,
    state: Typing,
    ms: Option<u64>,
}

/// Show the other side that somebody writes
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/typing", tag = "Messages",
    params(("phone" = String, Path, description = "Its number")),
    request_body = TypingParams,
    responses((status = 202, description = "Shown")))]
pub(super) async fn type_in(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<TypingParams>,
) -> Result<StatusCode, Problem> {
    let lasts = params.ms.map(Duration::from_millis);
    sandbox.type_in(&phone, &params.to, params.state, lasts)?;
    Ok(StatusCode::ACCEPTED)
}

/// What a phone shows
#[utoipa::path(get, path = "/sandbox/api/phones/{phone}/chats", tag = "Messages",
    params(("phone" = String, Path, description = "Its number")),
    responses((status = 200, description = "Chat by chat, messages in the order they came", body = Listed<Chat>)))]
pub(super) async fn list(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
) -> Result<Json<Listed<Chat>>, Problem> {
    Ok(Json(Listed {
        data: sandbox.chats(&phone).await?,
    }))
}

/// Read a chat on the phone
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/read", tag = "Messages",
    params(("phone" = String, Path, description = "Its number")),
    request_body = ReadParams,
    responses((status = 202, description = "The authors get receipts if the phone is online")))]
pub(super) async fn read(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<ReadParams>,
) -> Result<StatusCode, Problem> {
    sandbox.mark_read(&phone, &params.chat).await?;
    Ok(StatusCode::ACCEPTED)
}
