//! `POST /api/otp/receive`

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wharf_model::VerificationStatus;
use wharf_otp::{Awaited, ReceiveCode};
use wharf_storage::usage::Resource;

use super::body::{is_name, is_phone, phone};
use crate::auth::{Allowed, Caller};
use crate::error::ApiError;
use crate::extract::Valid;
use crate::idempotency::{Answer, Keep, Once};
use crate::qr::QrImage;
use crate::rules;
use crate::scope::ReceiveCodes;
use crate::state::ApiState;
use crate::wire::{SessionIdText, Time, VerificationIdText, whole_seconds};

/// A proof of a number that is asked for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"purpose": "login"}))]
pub(crate) struct ReceiveOtp {
    /// The session that is to get the text, and no other; without it one of those that are connected.
    #[garde(skip)]
    session_id: Option<SessionIdText>,
    /// The only number that may send the text, with its country code; without it whoever sends it proves his.
    #[garde(inner(custom(is_phone)))]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "+15551234567")]
    phone: Option<String>,
    /// How many seconds the text counts; without it those of the configuration.
    #[garde(custom(rules::optional_between(60, 600)))]
    #[schema(minimum = 60, maximum = 600)]
    ttl: Option<u32>,
    /// What the number is proved for; without it `verify`.
    #[garde(inner(custom(is_name)))]
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9_-]*$", example = "login")]
    purpose: Option<String>,
    /// Any JSON object of yours, at most 16 KiB; it comes back in answers and events.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

impl ReceiveOtp {
    /// What the facade is asked for.
    fn wanted(self, caller: &Caller) -> Result<ReceiveCode, ApiError> {
        let session = self.session_id.map(|id| id.0);
        session.map_or(Ok(()), |session| caller.require_session(session))?;
        Ok(ReceiveCode {
            phone: self.phone.as_deref().map(phone).transpose()?,
            session,
            allowed: caller.allowed_sessions(),
            ttl: self.ttl.map(|seconds| Duration::from_secs(u64::from(seconds))),
            purpose: self.purpose,
            allowance: caller.allowance(),
            metadata: self.metadata.map(Value::Object),
        })
    }
}

/// A text that a person is to send.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reception)]
pub(crate) struct ReceptionBody {
    id: VerificationIdText,
    /// Always `pending`.
    #[schema(pattern = "^pending$", example = "pending")]
    status: &'static str,
    /// What he is to send. It is shown once: whoever sends it is taken for your visitor.
    #[schema(example = "WHARF-7K3F-9QXM")]
    text: String,
    /// Opens his WhatsApp with the text written.
    #[schema(example = "https://wa.me/15550001111?text=WHARF-7K3F-9QXM")]
    link: String,
    /// The link as a QR, for the phone beside the screen: an SVG image.
    #[schema(example = "<svg ...></svg>")]
    qr_svg: String,
    /// The only number that may send it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "+15551234567")]
    phone: Option<String>,
    /// The session that is to get it.
    session_id: SessionIdText,
    #[schema(example = "verify")]
    purpose: String,
    /// Until when it counts.
    expires_at: Time,
    /// The same in seconds.
    expires_in: u64,
    /// What it was created with.
    #[schema(required, value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl ReceptionBody {
    fn new(awaited: Awaited) -> Result<Self, ApiError> {
        let Awaited { view, text, link } = awaited;
        let image = QrImage::new(&link).map_err(ApiError::internal)?;
        Ok(Self {
            id: VerificationIdText(view.id),
            status: VerificationStatus::as_str(view.status),
            text,
            link,
            qr_svg: image.svg(),
            phone: view.phone.map(|phone| phone.to_string()),
            session_id: SessionIdText(view.session_id),
            purpose: view.purpose,
            expires_at: Time(view.expires_at),
            expires_in: whole_seconds(view.expires_in),
            metadata: view.metadata,
        })
    }
}

/// Ask for a text that proves a number
///
/// Your visitor sends `text` from his own WhatsApp to the session's number; that it comes from his number is the proof.
/// `GET /api/otp/{id}` and the event `otp.approved` show the number then. The text counts once, and only where that session
/// gets it. The answer holds a secret: a repeat with the same `Idempotency-Key` is 409 `secret_already_shown`.
#[utoipa::path(post, path = "/api/otp/receive", tag = "One-time passwords", security(("bearer" = ["otp:receive"])),
    request_body = ReceiveOtp,
    responses((status = 202, description = "The text that is waited for", body = ReceptionBody),
        (status = 404, description = "No such session"),
        (status = 409, description = "No session is connected")))]
pub(crate) async fn receive_code(
    caller: Allowed<ReceiveCodes>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<ReceiveOtp>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    let new = body.wanted(&caller)?;
    let (held, workspace, allowance) = (state.clone(), caller.workspace(), caller.allowance());
    let effect = async move {
        let awaited = held.verifications.receive(workspace, new).await?;
        let authenticator = &held.authenticator;
        authenticator.note_used(allowance, Resource::Otps, awaited.view.created_at);
        Answer::json(StatusCode::ACCEPTED, &ReceptionBody::new(awaited)?)
    };
    once.run(&state, &caller, &raw, Keep::Fact, effect).await
}
