//! The pages' files, embedded. Everything comes from here: no other host is ever asked.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::pages;

/// Scripts, styles, pictures and connections from this origin; pictures also from memory, for the QR.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, media type, content.
const FILES: [(&str, &str, &str); 10] = [
    ("/", PAGE, include_str!("../../generator/index.html")),
    ("/qr", PAGE, include_str!("../../generator/qr.html")),
    ("/pair", PAGE, include_str!("../../generator/pair.html")),
    ("/validate", PAGE, include_str!("../../generator/validate.html")),
    (
        "/generator/style.css",
        "text/css; charset=utf-8",
        include_str!("../../generator/style.css"),
    ),
    ("/generator/icon.svg", "image/svg+xml", include_str!("../../icon.svg")),
    (
        "/generator/attempt.js",
        SCRIPT,
        include_str!("../../generator/attempt.js"),
    ),
    ("/generator/qr.js", SCRIPT, include_str!("../../generator/qr.js")),
    ("/generator/pair.js", SCRIPT, include_str!("../../generator/pair.js")),
    (
        "/generator/validate.js",
        SCRIPT,
        include_str!("../../generator/validate.js"),
    ),
];

/// Serves every file.
pub(super) fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
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
