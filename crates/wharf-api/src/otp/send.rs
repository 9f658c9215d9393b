//! `POST /api/otp/send`

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wharf_otp::{SendCode, Sent};
use wharf_session::Outcome;
use wharf_storage::usage::Resource;

use super::body::{VerificationBody, client, is_address, is_locale, is_name, is_phone, phone};
use crate::auth::{Allowed, Caller};
use crate::error::ApiError;
use crate::extract::Valid;
use crate::idempotency::{Answer, Once};
use crate::rules;
use crate::scope::SendCodes;
use crate::state::ApiState;
use crate::wire::SessionIdText;

/// A code to be sent.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+15551234567", "purpose": "login", "locale": "es"}))]
pub(crate) struct SendOtp {
    /// Who is to get the code: a number with its country code.
    #[garde(custom(is_phone))]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "+15551234567")]
    phone: String,
    /// The session that sends it, and no other; without it one of those that are connected.
    #[garde(skip)]
    session_id: Option<SessionIdText>,
    /// Digits of the code; without it those of the configuration.
    #[garde(custom(rules::optional_between(6, 10)))]
    #[schema(minimum = 6, maximum = 10)]
    length: Option<u8>,
    /// How many seconds the code can be checked; without it those of the configuration.
    #[garde(custom(rules::optional_between(60, 600)))]
    #[schema(minimum = 60, maximum = 600)]
    ttl: Option<u32>,
    /// The language of the message, such as `es` or `pt-BR`; one that there is no text in falls back to the configured one.
    #[garde(inner(custom(is_locale)))]
    #[schema(min_length = 2, max_length = 35, pattern = "^[A-Za-z0-9_-]*$", example = "es")]
    locale: Option<String>,
    /// The name of its text: `default`, or one of your own (`/api/otp/templates`).
    #[garde(inner(custom(is_name)))]
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9_-]*$", example = "default")]
    template: Option<String>,
    /// What the code is for; without it `verify`. One verification of a phone and a purpose is pending at a time.
    #[garde(inner(custom(is_name)))]
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9_-]*$", example = "login")]
    purpose: Option<String>,
    /// The address of the end user who wants the code: limits count by it.
    #[garde(inner(custom(is_address)))]
    #[schema(
        min_length = 2,
        max_length = 45,
        pattern = "^[0-9A-Fa-f:.]*$",
        example = "203.0.113.7"
    )]
    client_ip: Option<String>,
    /// Any JSON object of yours, at most 16 KiB; it comes back in answers and events.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

impl SendOtp {
    /// What the facade is asked for.
    fn wanted(self, caller: &Caller) -> Result<SendCode, ApiError> {
        let session = self.session_id.map(|id| id.0);
        session.map_or(Ok(()), |session| caller.require_session(session))?;
        Ok(SendCode {
            phone: phone(&self.phone)?,
            session,
            allowed: caller.allowed_sessions(),
            length: self.length,
            ttl: self.ttl.map(|seconds| Duration::from_secs(u64::from(seconds))),
            locale: self.locale,
            template: self.template,
            purpose: self.purpose,
            client: client(self.client_ip.as_deref()),
            key: caller.key_id(),
            allowance: caller.allowance(),
            metadata: self.metadata.map(Value::Object),
        })
    }
}

/// Send a code
///
/// While a verification of the phone and the purpose is pending, the same one sends a new code (`resent`), and the code
/// before stops working; its attempts stay counted. When this answers 202, the message is durable. `next_send_in` says
/// when the next one may be asked for.
#[utoipa::path(post, path = "/api/otp/send", tag = "One-time passwords", security(("bearer" = ["otp:send"])),
    request_body = SendOtp,
    responses((status = 202, description = "The verification; its code is on the way", body = VerificationBody),
        (status = 404, description = "No such session"),
        (status = 409, description = "No session can send it")))]
pub(crate) async fn send_code(
    caller: Allowed<SendCodes>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<SendOtp>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    let new = body.wanted(&caller)?;
    let idempotent = once.with_effect(caller.workspace(), &raw, |sent: &Sent| {
        Answer::json(StatusCode::ACCEPTED, &VerificationBody::sent(sent.clone()))
    });
    match state.verifications.send(caller.workspace(), new, idempotent).await? {
        Outcome::New(sent) => {
            // Nothing went to a test number, and nothing is counted.
            if let Some(send) = sent.view.sends.last().filter(|_| !sent.view.test) {
                let authenticator = &state.authenticator;
                authenticator.note_used(caller.allowance(), Resource::Otps, send.at);
            }
            Ok(Answer::json(StatusCode::ACCEPTED, &VerificationBody::sent(sent))?.into_response())
        }
        Outcome::Replayed(stored) => Ok(Answer::from_stored(&stored)?.replayed()),
    }
}
