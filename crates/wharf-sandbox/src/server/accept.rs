//! Takes TCP connections and gives each a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::connection;
use crate::network::Network;
use crate::network::faults::{Moment, Scene};

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
                if refuses(&network) {
                    continue;
                }
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

/// A fault may close connections before anything is said.
fn refuses(network: &Network) -> bool {
    let scene = Scene {
        account: None,
        subject: "",
        moment: Moment::Accept,
    };
    network.faults.at(scene).is_some()
}
