//! `POST /api/sessions/{id}/pairing-code`

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wharf_model::{Phone, SessionId};
use wharf_session::PairingCode;

use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, Valid};
use crate::idempotency::{Answer, Keep, Once};
use crate::rules;
use crate::scope::LinkSessions;
use crate::state::ApiState;
use crate::wire::{SessionIdText, Time};

/// Whose phone is to be linked.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestPairingCode {
    /// The account's number, with its country code.
    #[garde(custom(rules::text(1, 32)))]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "+15551234567")]
    phone: String,
}

/// A code to type into the phone: Settings, Linked devices, Link a device, Link with phone number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PairingCode)]
pub(crate) struct PairingCodeBody {
    /// Two groups of four characters. Whoever types it links his account: keep it secret.
    #[schema(example = "ABCD-EFGH")]
    code: String,
    /// When it stops working.
    expires_at: Time,
}

impl From<PairingCode> for PairingCodeBody {
    fn from(pairing: PairingCode) -> Self {
        Self {
            code: grouped(&pairing.code),
            expires_at: Time(pairing.expires_at),
        }
    }
}

/// Link by code
///
/// Gives a code that the owner of the number types into his phone instead of scanning a QR. Answers once WhatsApp has
/// accepted it; a session that is off is connected for it. A code that was given before stops working. A number that is
/// written in two ways, as in Brazil, Mexico and Argentina, is tried in both.
#[utoipa::path(post, path = "/api/sessions/{id}/pairing-code", tag = "Sessions",
    security(("bearer" = ["sessions:link"])),
    params(("id" = SessionIdText, Path, description = "The session")), request_body = RequestPairingCode,
    responses((status = 200, description = "The code", body = PairingCodeBody)))]
pub(crate) async fn create_pairing_code(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: Valid<RequestPairingCode>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let phone = phone(&request.body.phone)?;
    let (sessions, workspace) = (state.sessions.acting_for(caller.requester()), caller.workspace());
    let effect = async move {
        let code = sessions.pairing_code(workspace, id, &phone).await?;
        Answer::json(StatusCode::OK, &PairingCodeBody::from(code))
    };
    once.run(&state, &caller, &request.raw, Keep::Fact, effect).await
}

/// The number of a request.
pub(super) fn phone(text: &str) -> Result<Phone, ApiError> {
    let parsed = text.parse::<Phone>();
    parsed.map_err(|error| ApiError::invalid_field("/phone", "invalid_phone", error.to_string()))
}

/// As the phone shows the fields to type it in.
fn grouped(code: &str) -> String {
    match code.split_at_checked(4) {
        Some((one, other)) if !other.is_empty() => format!("{one}-{other}"),
        _ => code.to_owned(),
    }
}
