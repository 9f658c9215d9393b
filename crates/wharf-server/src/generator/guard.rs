//! Who may use the pages: the right name, and the page itself or a page that the operator names.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, ORIGIN, REFERER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tower_http::cors::CorsLayer;

use super::{Generator, GeneratorConfig};
use crate::gate::{LOOPBACK_NAMES, is_same_origin, name_of, refuse};

/// Refuses foreign names (DNS rebinding) and requests that other sites asked a visitor's browser for.
pub(super) async fn check(State(generator): State<Generator>, request: Request, next: Next) -> Response {
    let config = &generator.inner.config;
    if !is_known_host(config, &request) {
        let detail = "The generator is not reached under this name (setting generator.hosts).";
        return refuse(StatusCode::MISDIRECTED_REQUEST, "host_refused", detail);
    }
    let headers = request.headers();
    let from_page = (is_same_origin(headers) && !is_embedded(headers)) || is_allowed(config, headers);
    if is_call(&request) && !from_page {
        let detail = "Only the generator's own page may do this (setting generator.origins).";
        return refuse(StatusCode::FORBIDDEN, "cross_site_refused", detail);
    }
    next.run(request).await
}

/// Tells browsers which other pages may read answers.
pub(super) fn cors(config: &GeneratorConfig) -> CorsLayer {
    let origins = config
        .origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([CONTENT_TYPE])
}

/// Links from elsewhere lead to pages; everything else is called.
fn is_call(request: &Request) -> bool {
    let path = request.uri().path();
    // The QR is a picture of the page's own, which nobody knows the address of.
    let is_picture = path.starts_with("/generator/attempts/") && path.ends_with("/qr");
    (path == "/code" || path.starts_with("/generator/attempts") || path == "/generator/validate") && !is_picture
}

/// Without a list, a server that only this machine reaches is known under this machine's names; any other one has
/// nothing that a visitor from the network does not see anyway.
fn is_known_host(config: &GeneratorConfig, request: &Request) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let name = name_of(host.unwrap_or_default());
    if LOOPBACK_NAMES.contains(&name) || config.hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return true;
    }
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|peer| peer.0.ip());
    let is_local = peer.is_some_and(|peer| peer.is_loopback());
    let is_proxy = peer.is_some_and(|peer| config.trusted_proxies.iter().any(|range| range.contains(peer)));
    config.hosts.is_empty() && (!is_local || is_proxy)
}

/// Without TLS browsers do not say which site asks. A picture or a link on another site still tells by these.
fn is_embedded(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    let referred = text(REFERER).and_then(|page| page.split('/').nth(2));
    referred.is_some_and(|page| page != host) || text(ACCEPT).is_some_and(|kinds| kinds.starts_with("image/"))
}

fn is_allowed(config: &GeneratorConfig, headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN);
    origin.is_some_and(|origin| config.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()))
}
