//! Takes TCP connections and gives each a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::connection;
use crate::network::Network;

/// Pause after the system refused to hand over a connection, usually because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn serve(network: Arc<Network>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = network.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let shared = Arc::clone(&network);
                network.tasks.spawn(async move {
                    let stop = shared.stop.clone();
                    tokio::select! {
                        () = connection::run(shared, stream) => {}
                        () = stop.cancelled() => {}
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
