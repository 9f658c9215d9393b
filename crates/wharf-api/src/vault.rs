//! `GET /api/vault/{id}`, `DELETE /api/vault/{id}`, `GET /api/vault/links/{token}`: session strings that are kept here.
//! Nobody reads of them in a log or a list.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wharf_storage::audit::Requester;
use wharf_vault::destination::KeptString;

use crate::auth::Allowed;
use crate::context::current_origin;
use crate::error::ApiError;
use crate::scope::ExportSessions;
use crate::state::ApiState;
use crate::wire::Time;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_kept, forget_kept))
        .routes(routes!(take_link))
}

/// A session string that was kept. Whoever has it is the account.
#[derive(Serialize, ToSchema)]
#[schema(as = KeptString)]
pub(crate) struct KeptBody {
    /// The string.
    session: String,
    /// When it goes from here.
    expires_at: Time,
}

/// Logs are written with `Debug`: credentials must not reach them.
impl std::fmt::Debug for KeptBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptBody").finish_non_exhaustive()
    }
}

fn answer(kept: Option<KeptString>) -> Result<Response, ApiError> {
    let kept = kept.ok_or(ApiError::KeptStringNotFound)?;
    let body = KeptBody {
        session: kept.string.to_string(),
        expires_at: Time(kept.expires_at),
    };
    Ok(([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response())
}

/// Get a kept session string
///
/// By the id behind the prefix of a short session string.
#[utoipa::path(get, path = "/api/vault/{id}", tag = "Vault", security(("bearer" = ["sessions:export"])),
    params(("id" = String, Path, description = "What follows the `~`", example = "AAECAwQFBgcICQoLDA0ODw")),
    responses((status = 200, description = "The string", body = KeptBody)))]
pub(crate) async fn get_kept(
    caller: Allowed<ExportSessions>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    caller.require_unrestricted()?;
    let found = state.vault.hand_out(caller.workspace(), &id, caller.requester());
    answer(found.await?)
}

/// Forget a kept session string
///
/// The id leads nowhere any more. What was linked with the string stays linked.
#[utoipa::path(delete, path = "/api/vault/{id}", tag = "Vault", security(("bearer" = ["sessions:export"])),
    params(("id" = String, Path, description = "What follows the `~`", example = "AAECAwQFBgcICQoLDA0ODw")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn forget_kept(
    caller: Allowed<ExportSessions>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.require_unrestricted()?;
    match state.vault.forget(caller.workspace(), &id, caller.requester()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::KeptStringNotFound),
    }
}

/// Get a kept session string by its link
///
/// Needs no key, and works once: the link is the key.
#[utoipa::path(get, path = "/api/vault/links/{token}", tag = "Vault",
    params(("token" = String, Path, description = "From the export", example = "AAECAwQFBgcICQoLDA0ODw")),
    responses((status = 200, description = "The string", body = KeptBody)))]
pub(crate) async fn take_link(
    method: Method,
    State(state): State<ApiState>,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    // HEAD would use the link up and show nothing.
    if method != Method::GET {
        return Err(ApiError::MethodNotAllowed);
    }
    answer(state.vault.take_link(&token, stranger()).await?)
}

/// Whoever has the link.
fn stranger() -> Requester {
    let (address, request_id) = current_origin();
    Requester {
        who: "link".to_owned(),
        address,
        request_id,
    }
}
