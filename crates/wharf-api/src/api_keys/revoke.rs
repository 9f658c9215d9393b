//! `DELETE /api/api-keys/{id}`

use axum::extract::State;
use http::StatusCode;
use wharf_model::{ApiKeyId, WorkspaceId};
use wharf_storage::audit::{self, Action, AuditEntry, Requester};
use wharf_storage::{Queue, StorageError, api_keys};

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
    revoke(&state, caller.workspace(), id, caller.requester()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a key, here at once and on other nodes within a second.
pub(super) async fn revoke(
    state: &ApiState,
    workspace: WorkspaceId,
    id: ApiKeyId,
    by: Requester,
) -> Result<(), ApiError> {
    let entry = AuditEntry {
        workspace,
        at: state.clock.now(),
        by,
        action: Action::ApiKeyRevoked,
        session: None,
        api_key: Some(id),
        plan: None,
    };
    let revoked = state
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let revoked = api_keys::revoke(tx, workspace, id, entry.at).await?;
                audit::append(tx, Some(&entry).filter(|_| revoked)).await
            })
        })
        .await;
    revoked.map_err(|error| match error {
        StorageError::NotFound(_) => ApiError::ApiKeyNotFound,
        other => other.into(),
    })?;
    state.authenticator.forget();
    Ok(())
}
