//! `PATCH /api/sessions/{id}`

use axum::Json;
use axum::extract::State;
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wharf_model::SessionId;
use wharf_session::SessionPatch;

use super::body::SessionBody;
use super::pacing::Pacing;
use super::setup::{self, is_proxy};
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, Valid};
use crate::rules;
use crate::scope::WriteSessions;
use crate::state::ApiState;
use crate::wire::{SessionIdText, present};

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateSession {
    /// The name.
    #[garde(custom(rules::optional_text(1, rules::MAX_NAME)))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$")]
    name: Option<String>,
    /// Another object; null empties it.
    #[serde(default, deserialize_with = "present")]
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Option<Map<String, Value>>>,
    /// Other limits; null goes back to those of the configuration.
    #[serde(default, deserialize_with = "present")]
    #[garde(dive)]
    #[schema(value_type = Option<Pacing>)]
    pacing: Option<Option<Pacing>>,
    /// Another proxy, from the next connection on: `http://user:password@host:port` or `socks5://...`; null goes without.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(inner(custom(is_proxy))))]
    #[schema(value_type = Option<String>, max_length = 2048, pattern = "^[^\\u0000]*$")]
    proxy: Option<Option<SecretString>>,
}

/// Change a session
#[utoipa::path(patch, path = "/api/sessions/{id}", tag = "Sessions", security(("bearer" = ["sessions:write"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    request_body = UpdateSession,
    responses((status = 200, description = "The session as it is now", body = SessionBody)))]
pub(crate) async fn update_session(
    caller: Allowed<WriteSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    Valid { body, .. }: Valid<UpdateSession>,
) -> Result<Json<SessionBody>, ApiError> {
    caller.require_session(id)?;
    let patch = SessionPatch {
        name: body.name,
        metadata: body.metadata.map(|metadata| metadata.map(Value::Object)),
        pacing: body.pacing.map(|pacing| pacing.map(Into::into)),
        proxy: body.proxy.map(|proxy| setup::proxy(proxy.as_ref())).transpose()?,
    };
    let session = state.sessions.patch(caller.workspace(), id, patch).await?;
    Ok(Json(session.into()))
}
