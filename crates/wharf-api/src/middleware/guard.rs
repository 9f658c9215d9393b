//! Limits by address, the time-out, and the net under panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::context::RequestContext;
use crate::error::ApiError;
use crate::state::ApiState;

/// Paths that a supervisor asks all the time.
const UNLIMITED: [&str; 2] = ["/healthz", "/readyz"];

/// A handler panicked. What it said went through the panic hook; it could hold anything, so it is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;

/// Serves a request within its limits. The time-out ends with the answer's head, so streams are not cut.
pub(crate) async fn guard(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if let Err(error) = within_limits(&state, &request) {
        return error.into_response();
    }
    let limit = state.config.request_timeout();
    let served = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit, served).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError::internal(Panicked).into_response(),
        Err(_) => ApiError::RequestTimeout(limit).into_response(),
    }
}

fn within_limits(state: &ApiState, request: &Request) -> Result<(), ApiError> {
    if UNLIMITED.contains(&request.uri().path()) {
        return Ok(());
    }
    let context = request.extensions().get::<Arc<RequestContext>>();
    context.map_or(Ok(()), |context| state.limits.take_address(context))
}
