//! Takes TCP connections and gives each a task of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::front;
use crate::network::Network;
use crate::network::faults::{Moment, Scene};

/// Pause after the system refused to hand over a connection, usually because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port that is open to clients.
pub(crate) struct Door {
    pub listener: TcpListener,
    pub tls: TlsAcceptor,
    /// Clients that speak no TLS are let in, too.
    pub plain: bool,
    /// What is answered beside WebSockets.
    pub beside: Router,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("listener", &self.listener)
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}

pub(crate) async fn serve(network: Arc<Network>, door: Door) {
    let Door {
        listener,
        tls,
        plain,
        beside,
    } = door;
    let router = front::router(&network, beside);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = network.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _peer)) => {
                if refuses(&network) {
                    continue;
                }
                let (shared, tls, router) = (Arc::clone(&network), tls.clone(), router.clone());
                network.tasks.spawn(async move {
                    tokio::select! {
                        () = welcome(&shared, stream, (tls, plain), router) => {}
                        () = shared.stop.cancelled() => {}
                    }
                });
            }
            Err(failure) => {
                tracing::warn!(error = %failure, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn welcome(network: &Network, stream: TcpStream, (tls, plain): (TlsAcceptor, bool), router: Router) {
    // Without this every small exchange waits for a delayed acknowledgement (protocol brief, section 1).
    if let Err(failure) = stream.set_nodelay(true) {
        tracing::debug!(error = %failure, "a connection was gone before it began");
        return;
    }
    if plain && !begins_tls(network, &stream).await {
        return front::serve(network, stream, router).await;
    }
    match timeout(network.timing.handshake, tls.accept(stream)).await {
        Ok(Ok(stream)) => front::serve(network, stream, router).await,
        Ok(Err(failure)) => tracing::debug!(error = %failure, "a TLS handshake failed"),
        Err(_elapsed) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Media are always fetched by TLS, also by clients whose WebSocket is plain, so that both come to one port. What says
/// nothing is not TLS either, and the next one to read it gives up on it.
async fn begins_tls(network: &Network, stream: &TcpStream) -> bool {
    /// The first byte of every TLS connection: a record of the handshake (RFC 8446, section 5.1).
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    let peeked = timeout(network.timing.handshake, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && first[0] == HANDSHAKE
}

/// A fault may close connections before anything is said.
fn refuses(network: &Network) -> bool {
    let scene = Scene {
        account: None,
        subject: "",
        moment: Moment::Accept,
    };
    network.faults.at(scene).is_some()
}
