//! Owns the control API: the sandbox over HTTP on loopback. It answers only requests that name a loopback host, so
//! that a page in a browser cannot reach it under a name of its own, and it allows no other origin anything.

mod chats;
mod events;
mod faults;
mod groups;
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
/// The longest body with a file in it, which is base64.
const MAX_FILE_BODY: usize = 32 * 1024 * 1024;

pub(crate) async fn serve(sandbox: Sandbox, listener: TcpListener, stop: CancellationToken) {
    let served = axum::serve(listener, router(sandbox));
    tokio::select! {
        outcome = served => if let Err(failure) = outcome {
            tracing::error!(error = %failure, "the control API failed");
        },
        () = stop.cancelled() => {}
    }
}

/// On the port for clients: what they store and fetch there, and the calls that other people's test suites make.
pub(crate) fn beside_chat(sandbox: Sandbox, files: Router) -> Router {
    Router::new()
        .route("/admin/mock-phone/scan-qr", post(phones::scan_anew))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(sandbox)
        .merge(files)
        .layer(from_fn(guard::loopback_host_only))
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
        .route(
            "/sandbox/api/phones/{phone}/send",
            post(chats::send).layer(DefaultBodyLimit::max(MAX_FILE_BODY)),
        )
        .route("/sandbox/api/phones/{phone}/files/{message}", get(chats::file))
        .route("/sandbox/api/files/expire", post(chats::expire_files))
        .route("/sandbox/api/tls-certificate", get(phones::tls_certificate))
        .route("/sandbox/api/phones/{phone}/chats", get(chats::list))
        .route("/sandbox/api/phones/{phone}/read", post(chats::read))
        .route("/sandbox/api/phones/{phone}/join", post(groups::join))
        .route("/sandbox/api/groups", post(groups::create).get(groups::list))
        .route("/sandbox/api/groups/{group}", get(groups::show))
        .route("/sandbox/api/groups/{group}/members", post(groups::change))
        .route("/sandbox/api/groups/{group}/leave", post(groups::leave))
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
