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
use tower::ServiceBuilder;

pub use door::{Door, DoorParts};
pub use network::DemoNetwork;
pub use state::DemoState;

/// Puts the page, the sign-in and the simulated network's API around Wharf's own API.
pub fn router(api: Router, sandbox: Router, door: &Arc<Door>) -> Router {
    let locked = axum::middleware::from_fn_with_state(Arc::clone(door), gate::require_entry);
    // A service and not a merge: both routers have a fallback of their own.
    let sandbox = ServiceBuilder::new().layer(locked).service(sandbox);
    api.route_service("/sandbox/{*rest}", sandbox)
        .merge(assets::router())
        .merge(door::router(Arc::clone(door)))
        .layer(axum::middleware::from_fn(gate::check_host))
}
