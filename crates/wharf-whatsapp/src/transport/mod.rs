//! Owns the socket to the chat server: name, TCP with `TCP_NODELAY`, TLS for `wss`, the WebSocket upgrade, and the
//! pipe that the engine reads and writes. Promises to dial only an address that [`crate::guard`] checked, and to tell
//! the [`RunWatch`] what became of the connection. Knows nothing of frames or stanzas.
//!
//! The engine's own transport leaves Nagle's algorithm on (40 ms on every small exchange) and reports a failed dial
//! as text.

mod dial;
mod pipe;
mod proxy;

pub(crate) use dial::{DialError, Dialer};

use std::sync::Arc;

use async_trait::async_trait;
use wacore::net::{Transport, TransportEvent, TransportFactory};
use wharf_model::Proxy;

use crate::watch::RunWatch;

/// What the engine asks for a connection; one per client.
pub(crate) struct WatchedTransportFactory {
    dialer: Arc<Dialer>,
    proxy: Option<Proxy>,
    watch: Arc<RunWatch>,
}

impl WatchedTransportFactory {
    pub(crate) fn new(dialer: Arc<Dialer>, proxy: Option<Proxy>, watch: Arc<RunWatch>) -> Self {
        Self { dialer, proxy, watch }
    }
}

/// The run is to end before it began.
#[derive(Debug, thiserror::Error)]
#[error("dialling was given up: the run is to end")]
struct GivenUp;

#[async_trait]
impl TransportFactory for WatchedTransportFactory {
    async fn create_transport(
        &self,
    ) -> Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>), anyhow::Error> {
        let dialled = tokio::select! {
            biased;
            () = self.watch.stopped() => return Err(GivenUp.into()),
            dialled = self.dialer.dial(self.proxy.as_ref()) => dialled,
        };
        match dialled {
            Ok(socket) => {
                self.watch.dialled();
                Ok(pipe::open(socket, Arc::clone(&self.watch)))
            }
            Err(error) => {
                self.watch.dial_failed(&error);
                Err(error.into())
            }
        }
    }
}
