//! `GET /api/api-keys`

use axum::Json;
use axum::extract::State;
use wharf_storage::api_keys;

use super::body::ApiKeyBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Pagination, ValidQuery};
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::List;

/// List API keys
///
/// Newest first, revoked ones too.
#[utoipa::path(get, path = "/api/api-keys", tag = "API keys", security(("bearer" = ["admin"])),
    params(Pagination),
    responses((status = 200, description = "A page of keys", body = List<ApiKeyBody>)))]
pub(crate) async fn list_api_keys(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    ValidQuery(page): ValidQuery<Pagination>,
) -> Result<Json<List<ApiKeyBody>>, ApiError> {
    let (workspace, page) = (caller.workspace(), page.request());
    let keys = state
        .storage
        .read(move |tx| Box::pin(async move { api_keys::list(tx, workspace, &page).await }))
        .await?;
    Ok(Json(List::of_page(keys, |key| {
        let pending = state.authenticator.pending_usage(key.id);
        ApiKeyBody::new(key, pending)
    })))
}
