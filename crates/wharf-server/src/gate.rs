//! What a request tells of where it comes from: the name it was sent to, and the page that sent it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

/// Names under which a browser on this machine may know it. Any other name in `Host` means that somebody else's name
/// was pointed at this machine (DNS rebinding).
pub const LOOPBACK_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The host without its port; brackets of IPv6 stay.
pub fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether the page itself sent this. A cookie alone does not tell: other ports of this machine are the same site.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let from_here = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let host = text(HOST.as_str()).unwrap_or_default();
    let origin_fits = match headers.get(ORIGIN).map(HeaderValue::to_str) {
        None => true,
        // A proxy in front may speak TLS for this server.
        Some(Ok(origin)) => origin
            .split_once("://")
            .is_some_and(|(scheme, name)| scheme.starts_with("http") && name == host),
        Some(Err(_)) => false,
    };
    from_here && origin_fits
}

/// A problem document, as the API writes them.
pub fn refuse(status: StatusCode, code: &'static str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Refused");
    let body =
        json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail });
    (status, [(CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_name_is_read_with_and_without_a_port() {
        for (host, name) in [
            ("127.0.0.1:80", "127.0.0.1"),
            ("localhost", "localhost"),
            ("[::1]:8000", "[::1]"),
            ("evil.example:1", "evil.example"),
        ] {
            assert_eq!(name_of(host), name);
        }
    }

    #[test]
    fn another_port_of_this_machine_is_another_origin() {
        assert!(is_same_origin(&headers(&[
            ("host", "127.0.0.1:1"),
            ("origin", "http://127.0.0.1:1")
        ])));
        assert!(is_same_origin(&headers(&[
            ("host", "127.0.0.1:1"),
            ("sec-fetch-site", "same-origin")
        ])));
        assert!(!is_same_origin(&headers(&[
            ("host", "127.0.0.1:1"),
            ("origin", "http://127.0.0.1:2")
        ])));
        assert!(!is_same_origin(&headers(&[
            ("host", "127.0.0.1:1"),
            ("sec-fetch-site", "same-site")
        ])));
        assert!(!is_same_origin(&headers(&[
            ("host", "127.0.0.1:1"),
            ("origin", "null")
        ])));
    }
}
