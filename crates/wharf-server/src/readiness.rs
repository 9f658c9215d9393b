//! Whether the server can serve: it is not stopping, and storage takes writes.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use wharf_api::Readiness;
use wharf_storage::{Queue, Storage};

/// Asks storage for an empty unit of work.
#[derive(Debug)]
pub struct ServerReadiness {
    storage: Storage,
    stop: CancellationToken,
}

impl ServerReadiness {
    /// `stop` is cancelled when the server begins to drain.
    pub const fn new(storage: Storage, stop: CancellationToken) -> Self {
        Self { storage, stop }
    }
}

#[async_trait]
impl Readiness for ServerReadiness {
    async fn check(&self) -> Result<(), String> {
        if self.stop.is_cancelled() {
            return Err("the server is stopping".to_owned());
        }
        let empty = self.storage.write(Queue::Normal, |_tx| Box::pin(async { Ok(()) }));
        empty.await.map_err(|error| error.to_string())
    }
}
