//! What a request has to show before it is let through: a name of this machine, its origin, a cookie or the key.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, StatusCode};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::door::Door;
use crate::gate::{LOOPBACK_NAMES, is_same_origin, name_of, refuse};

/// Refuses requests under foreign names.
pub async fn check_host(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    if LOOPBACK_NAMES.contains(&name_of(host)) {
        next.run(request).await
    } else {
        let detail = "This server answers to 127.0.0.1 and localhost only.";
        refuse(StatusCode::MISDIRECTED_REQUEST, "host_refused", detail)
    }
}

/// Lets through what carries the demo's key, and what the page of a signed-in browser sends.
pub async fn require_entry(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let wanted = format!("Bearer {}", door.key().expose_secret());
    let given = headers
        .get(AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if bool::from(given.ct_eq(wanted.as_bytes())) || (is_same_origin(headers) && door.knows(headers)) {
        next.run(request).await
    } else {
        refuse(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "Open the link that the demo printed, or send its API key.",
        )
    }
}
