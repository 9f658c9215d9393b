//! The outermost layer: makes the context, and finishes the answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use wharf_model::Random;

use super::{headers, observe};
use crate::address::{UNKNOWN, caller_address};
use crate::context::RequestContext;
use crate::limit;
use crate::state::ApiState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;

/// Serves a request within its context.
pub(crate) async fn with_context(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers(), &*state.random);
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(UNKNOWN, |peer| peer.0.ip());
    let context = RequestContext::new(id, client(&state, peer, request.headers()));
    let line = observe::Line::of(&request, route_of(&request));
    request.extensions_mut().insert(Arc::clone(&context));
    let mut response = Arc::clone(&context).scope(next.run(request)).await;
    finish(&state, &context, response.headers_mut());
    line.write(&context, response.status(), started.elapsed());
    response
}

fn client(state: &ApiState, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    caller_address(peer, headers, &state.config.trusted_proxies)
}

/// The template, never the path: ids in labels would make a series each.
fn route_of(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned())
}

fn finish(state: &ApiState, context: &RequestContext, headers: &mut HeaderMap) {
    if let Ok(id) = HeaderValue::from_str(context.id()) {
        headers.insert(REQUEST_ID, id);
    }
    let rates = context.rates();
    limit::apply(&rates, headers);
    if state.config.x_rate_limit_headers {
        limit::apply_x(&rates, headers);
    }
    headers::secure(headers);
}

/// The caller's id when it is harmless in a log, or a new one.
fn request_id(headers: &HeaderMap, random: &dyn Random) -> String {
    let harmless = |text: &&str| {
        (1..=MAX_REQUEST_ID).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(harmless);
    given.map_or_else(|| fresh(random), ToOwned::to_owned)
}

fn fresh(random: &dyn Random) -> String {
    let mut bytes = [0; 15];
    random.fill(&mut bytes);
    format!(
        "req_{}",
        data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
    )
}
