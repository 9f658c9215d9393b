//! `POST /api/messages`

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wharf_model::{Content, Lane, Recipient};
use wharf_session::{MessageView, NewMessage, Outcome};
use wharf_storage::usage::Resource;

use super::body::MessageBody;
use crate::auth::{Allowed, Caller};
use crate::error::ApiError;
use crate::extract::Valid;
use crate::idempotency::{Answer, Once};
use crate::rules;
use crate::scope;
use crate::state::ApiState;
use crate::wire::{SessionIdText, Time};

/// The kinds that can be sent.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SendType {
    /// Plain text.
    Text,
}

/// The lanes that a program may choose.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SendLane {
    /// Before campaigns, behind one-time passwords.
    #[default]
    Interactive,
}

/// A text to be sent.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendText {
    /// What it says.
    #[garde(custom(rules::text(1, 65_536)))]
    #[schema(min_length = 1, max_length = 65_536, pattern = "^[^\\u0000]*$", example = "Hola Ana")]
    body: String,
}

/// A message to be sent.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"session_id": "ses_06bkrxzq3sx4h7e0p9c2d5t8vw", "to": "+15551234567", "type": "text",
    "text": {"body": "Hola Ana"}}))]
pub(crate) struct SendMessage {
    /// The session that sends it.
    #[garde(skip)]
    session_id: SessionIdText,
    /// A phone number in E.164, or a jid (`user@s.whatsapp.net`, `user@lid`, `id@g.us`).
    #[garde(custom(rules::text(1, 64)), custom(recipient))]
    #[schema(min_length = 1, max_length = 64, pattern = "^[^\\u0000]*$", example = "+15551234567")]
    to: String,
    #[serde(rename = "type")]
    #[garde(skip)]
    kind: SendType,
    #[garde(dive)]
    text: SendText,
    /// Not to be sent before; at most a year away.
    #[garde(skip)]
    send_at: Option<Time>,
    /// After how many seconds it is no longer worth sending; without it never.
    #[garde(custom(rules::optional_between(1, 31_622_400)))]
    #[schema(minimum = 1, maximum = 31_622_400)]
    expires_in: Option<u32>,
    /// Which messages of the session go first.
    #[garde(skip)]
    lane: Option<SendLane>,
    /// Any JSON object of yours, at most 16 KiB; it comes back in answers and events.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

fn recipient(to: &str, (): &()) -> Result<(), garde::Error> {
    to.parse::<Recipient>()
        .map(drop)
        .map_err(|error| rules::fault("invalid_recipient", error))
}

impl SendMessage {
    /// What the facade is asked for.
    fn wanted(self, caller: &Caller) -> Result<NewMessage, ApiError> {
        let to = self.to.parse().map_err(|error: wharf_model::AddressError| {
            ApiError::invalid_field("/to", "invalid_recipient", error.to_string())
        })?;
        let SendType::Text = self.kind;
        let SendLane::Interactive = self.lane.unwrap_or_default();
        caller.require_session(self.session_id.0)?;
        Ok(NewMessage {
            session_id: self.session_id.0,
            to,
            content: Content::text(self.text.body),
            lane: Lane::Interactive,
            send_at: self.send_at.map(|at| at.0),
            expires_in: self.expires_in.map(|wait| Duration::from_secs(u64::from(wait))),
            metadata: self.metadata.map(Value::Object),
            allowance: caller.allowance(),
        })
    }
}

/// Send a message
///
/// When this answers 202, the message is durable: it is sent however often the server dies. Follow it by its id or by
/// events.
#[utoipa::path(post, path = "/api/messages", tag = "Messages", security(("bearer" = ["messages:send"])),
    request_body = SendMessage,
    responses((status = 202, description = "The message, queued", body = MessageBody),
        (status = 404, description = "No such session")))]
pub(crate) async fn send_message(
    caller: Allowed<scope::SendMessages>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<SendMessage>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    let new = body.wanted(&caller)?;
    let idempotent = once.with_effect(caller.workspace(), &raw, |view: &MessageView| {
        Answer::json(StatusCode::ACCEPTED, &MessageBody::from(view.clone()))
    });
    match state.sessions.accept(caller.workspace(), new, idempotent).await? {
        Outcome::New(view) => {
            let authenticator = &state.authenticator;
            authenticator.note_used(caller.allowance(), Resource::Messages, view.created_at);
            Ok(Answer::json(StatusCode::ACCEPTED, &MessageBody::from(view))?.into_response())
        }
        Outcome::Replayed(stored) => Ok(Answer::from_stored(&stored)?.replayed()),
    }
}
