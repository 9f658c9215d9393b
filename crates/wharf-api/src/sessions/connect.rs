//! `POST /api/sessions/{id}/connect`

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::{Phone, SessionId};
use wharf_session::SessionError;

use super::body::SessionBody;
use super::pairing;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody};
use crate::idempotency::{Answer, Keep, Once};
use crate::rules;
use crate::scope::{Scope, WriteSessions};
use crate::state::ApiState;
use crate::wire::SessionIdText;

/// How to link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkMethod {
    /// A QR is shown; see `/qr`.
    #[default]
    Qr,
    /// A code to type on the phone; see `/pairing-code`.
    PairingCode,
}

/// How to connect. A session that is linked already just connects.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConnectSession {
    /// How to link, where it is not linked.
    #[garde(skip)]
    #[schema(default = "qr")]
    method: LinkMethod,
    /// The account's number, for a pairing code: with its country code.
    #[garde(custom(rules::optional_text(1, 32)))]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "+15551234567")]
    phone: Option<String>,
}

impl ConnectSession {
    /// The number to pair with; `None` for a QR. A phone without a method asks for a code just the same.
    fn pairs_with(&self) -> Result<Option<Phone>, ApiError> {
        match (&self.phone, self.method) {
            (Some(phone), _) => pairing::phone(phone).map(Some),
            (None, LinkMethod::PairingCode) => Err(ApiError::invalid_field(
                "/phone",
                "required",
                "A pairing code is for the account's number.",
            )),
            (None, LinkMethod::Qr) => Ok(None),
        }
    }
}

/// Connect a session
///
/// A linked session connects; another one shows a QR, or a code for the number. It is kept connected from then on. The
/// answer to a call for a code comes once WhatsApp has accepted it; the session's stream shows it, and `/pairing-code` gives
/// one at once. It needs the scope `sessions:link`.
#[utoipa::path(post, path = "/api/sessions/{id}/connect", tag = "Sessions",
    security(("bearer" = ["sessions:write"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    request_body = Option<ConnectSession>,
    responses((status = 202, description = "It connects", body = SessionBody)))]
pub(crate) async fn connect_session(
    caller: Allowed<WriteSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: OptionalBody<ConnectSession>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let phone = request.body.pairs_with()?;
    if phone.is_some() {
        caller.require(Scope::SessionsLink)?;
    }
    let (sessions, workspace) = (state.sessions.acting_for(caller.requester()), caller.workspace());
    let effect = async move {
        let session = match phone {
            Some(phone) => match sessions.pairing_code(workspace, id, &phone).await {
                // A linked session just connects.
                Ok(_) | Err(SessionError::AlreadyLinked) => sessions.connect(workspace, id).await?,
                Err(error) => return Err(error.into()),
            },
            None => sessions.connect(workspace, id).await?,
        };
        Answer::json(StatusCode::ACCEPTED, &SessionBody::from(session))
    };
    once.run(&state, &caller, &request.raw, Keep::Answer, effect).await
}
