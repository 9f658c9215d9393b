//! `DELETE /api/api-keys/self`

use axum::extract::State;
use http::StatusCode;

use super::change;
use super::revoke::revoke;
use crate::auth::Holder;
use crate::error::ApiError;
use crate::state::ApiState;

/// Revoke the key that this call carries
///
/// For whoever found a key where none should be: it needs no scope and works from every address. The key stops working at
/// once, with every text that it has; a second call answers 401 `api_key_revoked`.
#[utoipa::path(delete, path = "/api/api-keys/self", tag = "API keys", security(("bearer" = [])),
    responses((status = 204, description = "Revoked")))]
pub(crate) async fn revoke_own_api_key(
    Holder(caller): Holder,
    State(state): State<ApiState>,
) -> Result<StatusCode, ApiError> {
    let key = caller.key_id().ok_or(ApiError::Unauthenticated)?;
    revoke(&state, change(&caller, key)).await?;
    Ok(StatusCode::NO_CONTENT)
}
