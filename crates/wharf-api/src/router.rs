//! Puts routes and layers together.

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::error::ApiError;
use crate::extract::limited;
use crate::middleware::{guard, with_context};
use crate::state::ApiState;
use crate::{api_keys, audit, events, messages, operations, otp, plans, sessions, usage, vault};

/// Every operation of the API, with its description.
pub(crate) fn api_routes(base: OpenApi) -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(base)
        .merge(sessions::routes())
        .merge(messages::routes())
        .merge(otp::routes())
        .merge(events::routes())
        .merge(api_keys::routes())
        .merge(plans::routes())
        .merge(usage::routes())
        .merge(audit::routes())
        .merge(vault::routes())
        .merge(operations::routes())
}

/// The API as a service. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, which tells who calls.
pub fn router(state: ApiState) -> Router {
    let (api, _) = api_routes(OpenApi::default()).split_for_parts();
    let (body_limit, told_limit) = limited(state.config.max_body_bytes);
    api.merge(operations::pages())
        .fallback(route_not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), guard))
        .layer(body_limit)
        .layer(told_limit)
        .layer(from_fn_with_state(state.clone(), with_context))
        .with_state(state)
}

async fn route_not_found() -> ApiError {
    ApiError::RouteNotFound
}

async fn method_not_allowed() -> ApiError {
    ApiError::MethodNotAllowed
}
