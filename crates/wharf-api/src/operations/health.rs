//! `GET /healthz`, `GET /readyz`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::state::ApiState;

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok` or `ready`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process is alive
#[utoipa::path(get, path = "/healthz", tag = "Operations",
    responses((status = 200, description = "It answers", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the server can serve
///
/// Storage takes writes and the owner lock is held. Asked once a second at most, however often this is called.
#[utoipa::path(get, path = "/readyz", tag = "Operations",
    responses((status = 200, description = "It can serve", body = Health)))]
pub(crate) async fn readyz(State(state): State<ApiState>) -> Result<Json<Health>, ApiError> {
    state.ready.check().await.map_err(ApiError::NotReady)?;
    Ok(Json(Health { status: "ready" }))
}
