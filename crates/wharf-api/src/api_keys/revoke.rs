//! `DELETE /api/api-keys/{id}`

use axum::extract::State;
use http::StatusCode;
use wharf_model::ApiKeyId;
use wharf_storage::{Queue, StorageError, api_keys};

use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::ApiKeyIdText;

/// Revoke an API key
///
/// It stops working at once and stays in the list. Revoking it again changes nothing.
#[utoipa::path(delete, path = "/api/api-keys/{id}", tag = "API keys", security(("bearer" = ["admin"])),
    params(("id" = ApiKeyIdText, Path, description = "The key")),
    responses((status = 204, description = "Revoked")))]
pub(crate) async fn revoke_api_key(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<ApiKeyId>,
) -> Result<StatusCode, ApiError> {
    let (workspace, now) = (caller.workspace(), state.clock.now());
    let revoked = state
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(api_keys::revoke(tx, workspace, id, now))
        })
        .await;
    revoked.map_err(|error| match error {
        StorageError::NotFound(_) => ApiError::ApiKeyNotFound,
        other => other.into(),
    })?;
    state.authenticator.forget();
    Ok(StatusCode::NO_CONTENT)
}
