//! `POST /api/sessions/{id}/connect`

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::SessionId;

use super::body::SessionBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody};
use crate::idempotency::{Answer, Keep, Once};
use crate::rules;
use crate::scope::WriteSessions;
use crate::state::ApiState;
use crate::wire::SessionIdText;

/// How to link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkMethod {
    /// A QR is shown; see `/qr`.
    #[default]
    Qr,
    /// A code to type on the phone. Not in this version: answered with `method_unavailable`.
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
    /// The account's number, for a pairing code.
    #[garde(custom(rules::optional_text(1, 32)))]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "+15551234567")]
    phone: Option<String>,
}

/// Connect a session
///
/// A linked session connects; another one shows a QR. It is kept connected from then on.
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
    // A phone without a method asks for a code just the same.
    if request.body.method == LinkMethod::PairingCode || request.body.phone.is_some() {
        return Err(ApiError::MethodUnavailable);
    }
    let (sessions, workspace) = (state.sessions.clone(), caller.workspace());
    let effect = async move {
        let session = sessions.connect(workspace, id).await?;
        Answer::json(StatusCode::ACCEPTED, &SessionBody::from(session))
    };
    once.run(&state, &caller, &request.raw, Keep::Answer, effect).await
}
