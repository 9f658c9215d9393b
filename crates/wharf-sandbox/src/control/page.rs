//! The page that shows the phones as phones. Its files are part of the program; no other host is ever asked.

use axum::Router;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

/// Scripts, styles, pictures and connections from this origin only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const HOME: &str = "/sandbox/page/";

/// Path, media type, content.
const FILES: [(&str, &str, &str); 8] = [
    (HOME, "text/html; charset=utf-8", include_str!("../../page/index.html")),
    (
        "/sandbox/page/icon.svg",
        "image/svg+xml",
        include_str!("../../page/icon.svg"),
    ),
    ("/sandbox/page/base.css", STYLE, include_str!("../../page/base.css")),
    ("/sandbox/page/phones.css", STYLE, include_str!("../../page/phones.css")),
    ("/sandbox/page/api.js", SCRIPT, include_str!("../../page/api.js")),
    ("/sandbox/page/app.js", SCRIPT, include_str!("../../page/app.js")),
    ("/sandbox/page/dom.js", SCRIPT, include_str!("../../page/dom.js")),
    ("/sandbox/page/phones.js", SCRIPT, include_str!("../../page/phones.js")),
];

/// Serves the files, for a server that shows the phones inside a page of its own. They say nothing about the network;
/// `phones.js` asks the control API under the address that it came from.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(move || async move { file(kind, content) }))
    })
}

/// Leads to the page whoever opens the address of the control API.
pub(super) async fn home() -> Redirect {
    Redirect::temporary(HOME)
}

fn file(kind: &'static str, content: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_TYPE, kind),
    ];
    (headers, content)
}
