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
    /// Speaks TLS.
    pub tls: Option<TlsAcceptor>,
    /// What is answered beside WebSockets.
    pub beside: Router,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("listener", &self.listener)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

pub(crate) async fn serve(network: Arc<Network>, door: Door) {
    let Door { listener, tls, beside } = door;
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
                        () = welcome(&shared, stream, tls, router) => {}
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

async fn welcome(network: &Network, stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    // Without this every small exchange waits for a delayed acknowledgement (protocol brief, section 1).
    if let Err(failure) = stream.set_nodelay(true) {
        tracing::debug!(error = %failure, "a connection was gone before it began");
        return;
    }
    let Some(tls) = tls else {
        return front::serve(network, stream, router).await;
    };
    match timeout(network.timing.handshake, tls.accept(stream)).await {
        Ok(Ok(stream)) => front::serve(network, stream, router).await,
        Ok(Err(failure)) => tracing::debug!(error = %failure, "a TLS handshake failed"),
        Err(_elapsed) => tracing::debug!("a TLS handshake took too long"),
    }
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
