//! Whether the server can serve: it is not stopping, the database is its own, and takes writes.

use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use wharf_api::Readiness;
use wharf_storage::{Ownership, Storage};

/// How long a write may take before the server counts as unable to serve.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks storage to write a row that means nothing.
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
        if *self.storage.ownership().borrow() != Ownership::Held {
            return Err("the database is not there, or not ours".to_owned());
        }
        match tokio::time::timeout(PATIENCE, self.storage.probe()).await {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(_) => Err("the database took no write in time".to_owned()),
        }
    }
}
