//! Owns the control API: the sandbox over HTTP on loopback. It answers only requests that name a loopback host, so
//! that a page in a browser cannot reach it under a name of its own, and it allows no other origin anything.

mod chats;
mod events;
mod faults;
mod guard;
mod phones;
mod problem;
mod stanzas;
mod timing;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::sandbox::Sandbox;

/// The longest body: the longest text with room for escapes.
const MAX_BODY: usize = 512 * 1024;

pub(crate) async fn serve(sandbox: Sandbox, listener: TcpListener, stop: CancellationToken) {
    let served = axum::serve(listener, router(sandbox));
    tokio::select! {
        outcome = served => if let Err(failure) = outcome {
            tracing::error!(error = %failure, "the control API failed");
        },
        () = stop.cancelled() => {}
    }
}

/// What is fetched on the port for clients, and the calls that other people's test suites make there.
pub(crate) fn beside_chat(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/admin/mock-phone/scan-qr", post(phones::scan_anew))
        .route("/pictures/{phone}/{id}", get(phones::picture))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(guard::loopback_host_only))
        .with_state(sandbox)
}

pub(crate) fn router(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/sandbox/api/phones", post(phones::create).get(phones::list))
        .route("/sandbox/api/phones/{phone}", get(phones::show))
        .route("/sandbox/api/phones/{phone}/scan", post(phones::scan))
        .route("/sandbox/api/phones/{phone}/enter-code", post(phones::enter_code))
        .route("/sandbox/api/phones/{phone}/online", post(phones::online))
        .route(
            "/sandbox/api/phones/{phone}/ban",
            post(phones::ban).delete(phones::lift_ban),
        )
        .route("/sandbox/api/phones/{phone}/devices/{device}", delete(phones::unlink))
        .route("/sandbox/api/phones/{phone}/send", post(chats::send))
        .route("/sandbox/api/phones/{phone}/chats", get(chats::list))
        .route("/sandbox/api/phones/{phone}/read", post(chats::read))
        .route("/sandbox/api/unhandled", get(phones::unhandled))
        .route("/sandbox/api/faults", post(faults::create).get(faults::list))
        .route("/sandbox/api/faults/{fault}", get(faults::show).delete(faults::remove))
        .route("/sandbox/api/stanzas", get(stanzas::list))
        .route("/sandbox/api/timing", get(timing::show))
        .route("/sandbox/api/events", get(events::stream))
        .fallback(problem::no_such_call)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(guard::loopback_host_only))
        .with_state(sandbox)
}
