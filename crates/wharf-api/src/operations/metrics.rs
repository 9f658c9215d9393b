//! `GET /metrics`

use axum::extract::State;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};

use crate::auth::Allowed;
use crate::scope::Administer;
use crate::state::ApiState;

/// Prometheus' text format.
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Counters for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "Operations", security(("bearer" = ["admin"])),
    responses((status = 200, description = "Counters in Prometheus' text format", body = String,
        content_type = "text/plain")))]
pub(crate) async fn metrics(
    _: Allowed<Administer>,
    State(state): State<ApiState>,
) -> ([(HeaderName, HeaderValue); 1], String) {
    ([(CONTENT_TYPE, PROMETHEUS)], state.metrics.render())
}
