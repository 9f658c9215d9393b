//! The pages that are the server's own. In `wharf serve` that is one: what this is, and where to read on.

use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

const PLAIN: &str = concat!(
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Wharf</title>",
    "<h1>Wharf ",
    env!("CARGO_PKG_VERSION"),
    "</h1><p>A self-hosted WhatsApp gateway. It is running.</p>",
    "<ul><li><a href=\"/docs\">API documentation</a></li><li><a href=\"/api/openapi.json\">openapi.json</a></li>",
    "<li><a href=\"/healthz\">Health</a></li></ul></html>"
);

/// Nothing from elsewhere, no script, no frame.
const PLAIN_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page at `/`.
pub fn router() -> Router {
    Router::new().route("/", get(plain))
}

async fn plain() -> impl IntoResponse {
    (headers(PLAIN_POLICY), Html(PLAIN))
}

/// What every page is sent with.
pub fn headers(policy: &'static str) -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]
}
