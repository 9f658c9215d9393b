//! The pages' files, embedded. Everything comes from here: no other host is ever asked.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::KeptAt;
use crate::pages;

/// Scripts, styles, pictures and connections from this origin; pictures also from memory, for the QR.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, media type, content.
const FILES: [(&str, &str, &str); 9] = [
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

const LANDING: &str = include_str!("../../generator/index.html");

/// Serves every file. The landing page says what becomes of strings.
pub(super) fn router(kept_at: Option<KeptAt>) -> Router {
    let landing = LANDING.replace("KEPT", promise(kept_at));
    let landing = get(move || async move { file(PAGE, landing) });
    FILES
        .into_iter()
        .fold(Router::new().route("/", landing), |router, (path, kind, content)| {
            router.route(path, get(move || async move { file(kind, content) }))
        })
}

const fn promise(kept_at: Option<KeptAt>) -> &'static str {
    match kept_at {
        None => "Nothing is kept on this server: when you have your string, every trace of the attempt is gone.",
        Some(KeptAt::Database) => {
            "What your bot logs in with is kept on this server, encrypted, and your string leads to it. Every other trace of \
             the attempt is gone when you have the string."
        }
        Some(KeptAt::Mega) => {
            "What your bot logs in with is kept at MEGA, encrypted, and your string names and opens it. Every other trace of \
             the attempt is gone when you have the string."
        }
        Some(KeptAt::S3 | KeptAt::Folder) => {
            "What your bot logs in with is kept in the storage of whoever runs this server, and your string leads to it. \
             Every other trace of the attempt is gone when you have the string."
        }
    }
}

fn file(kind: &'static str, content: impl IntoResponse) -> impl IntoResponse {
    (
        pages::headers(POLICY),
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")],
        content,
    )
}
