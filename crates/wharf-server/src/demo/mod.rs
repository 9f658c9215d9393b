//! Owns the demo: the simulated network in this process, the page, and how a browser signs in to it. Promises that
//! nobody without the one-time code or the API key gets in, whatever name the browser was told this machine has.
//! Exists in sandbox builds only.

mod assets;
mod door;
mod gate;
mod network;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use tower::ServiceExt as _;

pub use door::{Door, DoorParts};
pub use network::DemoNetwork;
pub use state::DemoState;

/// Puts the page, the sign-in and the simulated network's API around Wharf's own API.
pub fn router(api: Router, sandbox: Router, door: &Arc<Door>) -> Router {
    let locked = sandbox.layer(from_fn_with_state(Arc::clone(door), gate::require_entry));
    api.layer(from_fn_with_state(locked, to_sandbox))
        .merge(assets::router())
        .merge(door::router(Arc::clone(door)))
        .layer(from_fn(gate::check_host))
}

/// Both routers have a fallback and cannot be merged; a wildcard route would add its match to the other's parameters.
async fn to_sandbox(State(sandbox): State<Router>, request: Request, next: Next) -> Response {
    // The files of the page are open: a browser wants them before it has signed in.
    if !request.uri().path().starts_with("/sandbox/api/") {
        return next.run(request).await;
    }
    match sandbox.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}
