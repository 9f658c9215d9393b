//! `GET /api/sessions/{id}/passkey/challenge`, `POST .../passkey`, `POST .../passkey/confirm`

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use garde::Validate;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wharf_model::SessionId;
use wharf_session::PasskeyStep;
use wharf_session::port::PasskeyAssertion;

use super::body::SessionBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody, Valid};
use crate::idempotency::{Answer, Keep, Once};
use crate::rules;
use crate::scope::LinkSessions;
use crate::state::ApiState;
use crate::wire::{Nothing, SessionIdText};

/// The longest binary field of a credential, in characters of base64url.
const MAX_FIELD: usize = 8192;

/// What is asked of a passkey, in the account owner's browser or phone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasskeyChallenge)]
pub(crate) struct ChallengeBody {
    /// For `navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(...)})` on a page of the
    /// relying party that it names, or for an authenticator that is told so (Web Authentication Level 3).
    #[schema(value_type = Object)]
    public_key: Value,
}

/// What the passkey signed: the credential's `toJSON()`.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = PasskeyAssertion)]
pub(crate) struct AnswerPasskey {
    /// The credential's id, in base64url.
    #[serde(rename = "rawId")]
    #[garde(custom(rules::text(1, MAX_FIELD)))]
    #[schema(min_length = 1, max_length = 8192, pattern = "^[^\\u0000]*$")]
    raw_id: String,
    #[garde(dive)]
    response: AssertionResponse,
    /// What browsers add.
    #[serde(flatten)]
    #[garde(skip)]
    #[schema(ignore)]
    _more: Map<String, Value>,
}

/// The authenticator's answer; binary fields in base64url.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AssertionResponse {
    #[serde(rename = "clientDataJSON")]
    #[garde(custom(rules::text(1, MAX_FIELD)))]
    #[schema(min_length = 1, max_length = 8192, pattern = "^[^\\u0000]*$")]
    client_data_json: String,
    #[garde(custom(rules::text(1, MAX_FIELD)))]
    #[schema(min_length = 1, max_length = 8192, pattern = "^[^\\u0000]*$")]
    authenticator_data: String,
    #[garde(custom(rules::text(1, MAX_FIELD)))]
    #[schema(min_length = 1, max_length = 8192, pattern = "^[^\\u0000]*$")]
    signature: String,
    #[garde(custom(rules::optional_text(0, MAX_FIELD)))]
    #[schema(max_length = 8192, pattern = "^[^\\u0000]*$")]
    user_handle: Option<String>,
}

/// Logs are written with `Debug`: signatures must not reach them.
impl std::fmt::Debug for AnswerPasskey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerPasskey").finish_non_exhaustive()
    }
}

/// A code that the phone shows, too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasskeyCode)]
pub(crate) struct CodeBody {
    /// Compare it with the one on the phone, then confirm. Whoever confirms another one links somebody else.
    #[schema(example = "ABCD-EFGH")]
    code: String,
}

/// Either, for the session's stream.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum PasskeyBody {
    Sign(ChallengeBody),
    Compare(CodeBody),
}

impl From<PasskeyStep> for PasskeyBody {
    fn from(step: PasskeyStep) -> Self {
        match step {
            PasskeyStep::Sign(options) => Self::Sign(ChallengeBody::new(&options)),
            PasskeyStep::Compare(code) => Self::Compare(CodeBody { code }),
        }
    }
}

impl ChallengeBody {
    /// WhatsApp says JSON; what is none is shown as it is.
    fn new(options: &str) -> Self {
        let public_key = serde_json::from_str(options).unwrap_or_else(|_| Value::String(options.to_owned()));
        Self { public_key }
    }
}

/// What the passkey is to sign
///
/// For accounts with a passkey: once the QR is scanned, `connection_step` is `passkey_required`.
#[utoipa::path(get, path = "/api/sessions/{id}/passkey/challenge", tag = "Sessions",
    security(("bearer" = ["sessions:link"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses((status = 200, description = "The challenge", body = ChallengeBody),
        (status = 409, description = "Nothing is asked of a passkey")))]
pub(crate) async fn get_passkey_challenge(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
) -> Result<Json<ChallengeBody>, ApiError> {
    caller.require_session(id)?;
    match state.sessions.passkey(caller.workspace(), id).await? {
        PasskeyStep::Sign(options) => Ok(Json(ChallengeBody::new(&options))),
        PasskeyStep::Compare(_) => Err(ApiError::PasskeyNotAsked),
    }
}

/// Answer for the passkey
///
/// Answers with the code that the phone shows as well, once both sides have it: `connection_step` is `passkey_confirm`
/// then. A companion that the account knows from an earlier link is confirmed by itself.
#[utoipa::path(post, path = "/api/sessions/{id}/passkey", tag = "Sessions",
    security(("bearer" = ["sessions:link"])),
    params(("id" = SessionIdText, Path, description = "The session")), request_body = AnswerPasskey,
    responses((status = 200, description = "The code to compare", body = CodeBody)))]
pub(crate) async fn answer_passkey(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: Valid<AnswerPasskey>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let assertion = assertion(&request.body)?;
    let (sessions, workspace) = (state.sessions.acting_for(caller.requester()), caller.workspace());
    let effect = async move {
        let code = sessions.answer_passkey(workspace, id, assertion).await?;
        Answer::json(StatusCode::OK, &CodeBody { code })
    };
    once.run(&state, &caller, &request.raw, Keep::Fact, effect).await
}

/// What WhatsApp takes, and nothing that a browser adds to it.
fn assertion(answer: &AnswerPasskey) -> Result<PasskeyAssertion, ApiError> {
    let id = answer.raw_id.trim_end_matches('=');
    let credential_id = BASE64URL_NOPAD
        .decode(id.as_bytes())
        .map_err(|_| ApiError::invalid_field("/rawId", "invalid_base64", "Must be base64url."))?;
    let json = serde_json::json!({ "id": id, "rawId": id, "type": "public-key", "response": answer.response });
    Ok(PasskeyAssertion {
        credential_id,
        json: json.to_string(),
    })
}

/// Confirm the passkey's code
///
/// After the owner saw the same code on his phone.
#[utoipa::path(post, path = "/api/sessions/{id}/passkey/confirm", tag = "Sessions",
    security(("bearer" = ["sessions:link"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses((status = 202, description = "The session; the link goes on", body = SessionBody)))]
pub(crate) async fn confirm_passkey(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: OptionalBody<Nothing>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let (sessions, workspace) = (state.sessions.acting_for(caller.requester()), caller.workspace());
    let effect = async move {
        sessions.confirm_passkey(workspace, id).await?;
        let session = sessions.get(workspace, id).await?;
        Answer::json(StatusCode::ACCEPTED, &SessionBody::from(session))
    };
    once.run(&state, &caller, &request.raw, Keep::Answer, effect).await
}
