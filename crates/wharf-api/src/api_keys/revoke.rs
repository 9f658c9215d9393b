//! `DELETE /api/api-keys/{id}`

use axum::extract::State;
use http::StatusCode;
use wharf_model::ApiKeyId;
use wharf_storage::api_keys::changes::{self, KeyChange};
use wharf_storage::{Queue, StorageError};

use super::change;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::ApiKeyIdText;

/// Revoke an API key
///
/// It stops working at once, with every text that it has, and stays in the list. Revoking it again changes nothing.
#[utoipa::path(delete, path = "/api/api-keys/{id}", tag = "API keys", security(("bearer" = ["admin"])),
    params(("id" = ApiKeyIdText, Path, description = "The key")),
    responses((status = 204, description = "Revoked")))]
pub(crate) async fn revoke_api_key(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<ApiKeyId>,
) -> Result<StatusCode, ApiError> {
    revoke(&state, change(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a key, here at once and on other nodes within a second.
pub(super) async fn revoke(state: &ApiState, change: KeyChange) -> Result<(), ApiError> {
    let now = state.clock.now();
    let revoked = state.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { changes::revoke(tx, change, now).await })
    });
    revoked.await.map_err(|error| match error {
        StorageError::NotFound(_) => ApiError::ApiKeyNotFound,
        other => other.into(),
    })?;
    state.authenticator.forget();
    Ok(())
}
