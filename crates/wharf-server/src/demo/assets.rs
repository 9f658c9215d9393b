//! The page's files, embedded. Everything comes from here: no other host is ever asked.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::pages;

/// Scripts, styles, pictures and connections from this origin; pictures also from memory, for the QR.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, media type, content.
const FILES: [(&str, &str, &str); 5] = [
    ("/", "text/html; charset=utf-8", include_str!("../../demo/index.html")),
    (
        "/demo/style.css",
        "text/css; charset=utf-8",
        include_str!("../../demo/style.css"),
    ),
    ("/demo/icon.svg", "image/svg+xml", include_str!("../../icon.svg")),
    ("/demo/app.js", SCRIPT, include_str!("../../demo/app.js")),
    ("/demo/session.js", SCRIPT, include_str!("../../demo/session.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Serves every file, and those of the simulated phones.
pub fn router() -> Router {
    FILES
        .into_iter()
        .fold(wharf_sandbox::page(), |router, (path, kind, content)| {
            router.route(path, get(move || async move { file(kind, content) }))
        })
}

fn file(kind: &'static str, content: &'static str) -> impl IntoResponse {
    (
        pages::headers(POLICY),
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")],
        content,
    )
}
