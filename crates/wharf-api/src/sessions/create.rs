//! `POST /api/sessions`

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wharf_session::{Idempotent, NewSession, Outcome, SessionView};

use super::body::SessionBody;
use super::pacing::Pacing;
use super::setup::{self, DeviceBody, is_proxy};
use crate::auth::{Allowed, Caller};
use crate::error::ApiError;
use crate::extract::Valid;
use crate::idempotency::{Answer, Once};
use crate::rules;
use crate::scope::WriteSessions;
use crate::state::ApiState;

/// A session to be made.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSession {
    /// What people call it.
    #[garde(custom(rules::text(1, rules::MAX_NAME)))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$", example = "support")]
    name: String,
    /// Any JSON object of yours, at most 16 KiB; it comes back in answers.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Limits of its own; without it those of the configuration.
    #[garde(dive)]
    pacing: Option<Pacing>,
    /// What the phone's list of linked devices shows; without it the configuration's.
    #[garde(dive)]
    device: Option<DeviceBody>,
    /// What its connections go through: `http://user:password@host:port` or `socks5://user:password@host:port`.
    /// The address must be public, or one that the operator allows. Answers leave user and password out.
    #[garde(inner(custom(is_proxy)))]
    #[schema(value_type = Option<String>, max_length = 2048, pattern = "^[^\\u0000]*$",
        example = "socks5://user:password@proxy.example.com:1080")]
    proxy: Option<SecretString>,
}

/// Make a session
///
/// It stays `not_started` until it is connected.
#[utoipa::path(post, path = "/api/sessions", tag = "Sessions", security(("bearer" = ["sessions:write"])),
    request_body = CreateSession,
    responses((status = 201, description = "The session", body = SessionBody)))]
pub(crate) async fn create_session(
    caller: Allowed<WriteSessions>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<CreateSession>,
) -> Result<Response, ApiError> {
    caller.require_unrestricted()?;
    let Valid { body, raw } = request;
    let new = NewSession {
        name: body.name,
        metadata: body.metadata.map(Value::Object),
        pacing: body.pacing.map(Into::into),
        proxy: setup::proxy(body.proxy.as_ref())?,
        device: setup::device(body.device)?,
        created_by: Some(caller.name()),
        allowance: caller.allowance(),
    };
    let idempotent = claim(&once, &caller, &raw);
    made(state.sessions.create(caller.workspace(), new, idempotent).await?)
}

/// A new session and the answer that tells of it commit together.
pub(super) fn claim(once: &Once, caller: &Caller, raw: &[u8]) -> Option<Idempotent<SessionView>> {
    once.with_effect(caller.workspace(), raw, |view: &SessionView| {
        Answer::json(StatusCode::CREATED, &SessionBody::from(view.clone()))
    })
}

/// The answer that tells of a new session.
pub(super) fn made(outcome: Outcome<SessionView>) -> Result<Response, ApiError> {
    match outcome {
        Outcome::New(view) => Ok(Answer::json(StatusCode::CREATED, &SessionBody::from(view))?.into_response()),
        Outcome::Replayed(stored) => Ok(Answer::from_stored(&stored)?.replayed()),
    }
}
