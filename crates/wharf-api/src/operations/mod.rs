//! What operators and tools ask: is it alive, can it serve, its counters, its own description. Promises that the docs
//! page loads nothing from anywhere else.

mod docs;
mod health;
mod metrics;
mod spec;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(spec::openapi_json))
}

/// Pages for people; no part of the API's description.
pub(crate) fn pages() -> Router<ApiState> {
    Router::new()
        .route("/docs", get(docs::page))
        .route("/docs/start.js", get(docs::start))
        .route("/docs/scalar.js", get(docs::bundle))
}
