//! Owns the control API: the sandbox over HTTP on loopback. It answers only requests that name a loopback host, so
//! that a page in a browser cannot reach it under a name of its own, and it allows no other origin anything.

mod camera;
mod chats;
mod document;
mod events;
mod faults;
mod groups;
mod guard;
pub(crate) mod page;
mod phones;
mod problem;
mod stanzas;
mod timing;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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

/// Every call of the API, with its description.
fn calls() -> OpenApiRouter<Sandbox> {
    let large = OpenApiRouter::new()
        .routes(routes!(chats::send))
        .routes(routes!(camera::read_qr))
        .layer(DefaultBodyLimit::max(MAX_FILE_BODY));
    OpenApiRouter::with_openapi(document::Base::openapi())
        .routes(routes!(phones::create, phones::list))
        .routes(routes!(phones::show))
        .routes(routes!(phones::scan))
        .routes(routes!(phones::enter_code))
        .routes(routes!(phones::sign_with_passkey))
        .routes(routes!(phones::unlink))
        .routes(routes!(phones::online))
        .routes(routes!(phones::change_number))
        .routes(routes!(phones::ban, phones::lift_ban))
        .routes(routes!(phones::contact_rules, phones::set_contact_rules))
        .routes(routes!(phones::invent_history))
        .routes(routes!(phones::mark_dirty))
        .routes(routes!(chats::list))
        .routes(routes!(chats::read))
        .routes(routes!(chats::type_in))
        .routes(routes!(chats::file))
        .routes(routes!(chats::expire_files))
        .routes(routes!(groups::create, groups::list))
        .routes(routes!(groups::show))
        .routes(routes!(groups::change))
        .routes(routes!(groups::leave))
        .routes(routes!(groups::join))
        .routes(routes!(faults::create, faults::list))
        .routes(routes!(faults::show, faults::remove))
        .routes(routes!(stanzas::list))
        .routes(routes!(events::stream))
        .routes(routes!(phones::unhandled))
        .routes(routes!(phones::tls_certificate))
        .routes(routes!(timing::show))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .merge(large)
}

pub(crate) fn router(sandbox: Sandbox) -> Router {
    let (calls, described) = calls().split_for_parts();
    let described = document::complete(described);
    calls
        .route("/", get(page::home))
        .merge(page::router())
        .route("/sandbox/api/openapi.json", get(async move || Json(described.clone())))
        .fallback(problem::no_such_call)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn(guard::loopback_host_only))
        .with_state(sandbox)
}
