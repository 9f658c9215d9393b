//! `GET /api/api-keys/{id}`

use axum::Json;
use axum::extract::State;
use wharf_model::ApiKeyId;
use wharf_storage::api_keys;

use super::body::ApiKeyBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::ApiKeyIdText;

/// Get an API key
#[utoipa::path(get, path = "/api/api-keys/{id}", tag = "API keys", security(("bearer" = ["admin"])),
    params(("id" = ApiKeyIdText, Path, description = "The key")),
    responses((status = 200, description = "The key, without its text", body = ApiKeyBody)))]
pub(crate) async fn get_api_key(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<ApiKeyId>,
) -> Result<Json<ApiKeyBody>, ApiError> {
    let workspace = caller.workspace();
    let key = state
        .storage
        .read(move |tx| Box::pin(api_keys::get(tx, workspace, id)))
        .await?;
    let key = key.ok_or(ApiError::ApiKeyNotFound)?;
    Ok(Json(ApiKeyBody::new(key, state.authenticator.pending_usage(id))))
}
