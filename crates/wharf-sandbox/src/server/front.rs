//! The front door of the chat port: WebSocket clients, and beside them the calls that other people's test suites make
//! on the same port.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::server::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection;
use crate::network::Network;

/// What a WebSocket runs on.
pub(super) type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `beside` has routes of its own; everything else is for WebSockets, whatever their path.
pub(super) fn router(network: &Arc<Network>, beside: Router) -> Router {
    Router::new()
        .fallback(chat)
        .with_state(Arc::clone(network))
        .merge(beside)
}

/// Serves one connection until it ends or becomes a WebSocket.
pub(super) async fn serve<S>(network: &Network, stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(network.timing.handshake)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades()
        .await;
    if let Err(failure) = served {
        tracing::debug!(error = %failure, "a connection ended before it was a WebSocket");
    }
}

async fn chat(State(network): State<Arc<Network>>, mut request: Request) -> Response {
    let Some(accept) = acceptance(request.headers()) else {
        let wanted = [(header::UPGRADE, "websocket")];
        return (
            StatusCode::UPGRADE_REQUIRED,
            wanted,
            "clients connect here by WebSocket\n",
        )
            .into_response();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let shared = Arc::clone(&network);
    network.tasks.spawn(async move {
        let stop = shared.stop.clone();
        tokio::select! {
            () = speak(shared, upgrade) => {}
            () = stop.cancelled() => {}
        }
    });
    let switch = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, switch).into_response()
}

async fn speak(network: Arc<Network>, upgrade: OnUpgrade) {
    match upgrade.await {
        Ok(io) => connection::run(network, TokioIo::new(io)).await,
        Err(failure) => tracing::debug!(error = %failure, "a connection did not become a WebSocket"),
    }
}

/// The answer to a client's key (RFC 6455, section 4.2.2); `None` when it asks for no WebSocket.
fn acceptance(headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.get(header::UPGRADE)?.to_str().ok()?;
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    if !upgrade.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    HeaderValue::from_str(&BASE64_STANDARD.encode(digest)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_standard_says() {
        let mut headers = HeaderMap::new();
        headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        assert_eq!(acceptance(&headers), None);
        // The example of RFC 6455, section 1.3.
        headers.insert(
            header::SEC_WEBSOCKET_KEY,
            HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="),
        );
        assert_eq!(acceptance(&headers).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        headers.insert(header::UPGRADE, HeaderValue::from_static("h2c"));
        assert_eq!(acceptance(&headers), None);
    }
}
