//! `GET /docs`: the API reference, from this server alone. The page's policy forbids everything else, and the bundle is
//! told to ask for nothing.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::error::ApiError;

const PAGE: &str = include_str!("docs.html");
const START: &str = include_str!("docs.js");

/// The bundle styles itself from script and draws images from `data:`; scripts come from this origin only.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; \
    object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static BUNDLE: LazyLock<Option<Bytes>> =
    LazyLock::new(|| scalar_api_reference::get_asset("scalar.js").map(Bytes::from));

pub(super) async fn page() -> Response {
    served(
        "text/html; charset=utf-8",
        "no-cache",
        Bytes::from_static(PAGE.as_bytes()),
    )
}

pub(super) async fn start() -> Response {
    served(
        "text/javascript; charset=utf-8",
        "no-cache",
        Bytes::from_static(START.as_bytes()),
    )
}

pub(super) async fn bundle() -> Result<Response, ApiError> {
    let bundle = BUNDLE
        .clone()
        .ok_or_else(|| ApiError::internal("the docs bundle is not in this build"))?;
    Ok(served(
        "text/javascript; charset=utf-8",
        "public, max-age=86400",
        bundle,
    ))
}

fn served(kind: &'static str, cache: &'static str, body: Bytes) -> Response {
    let headers: [(HeaderName, &'static str); 3] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, cache),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, body).into_response()
}
