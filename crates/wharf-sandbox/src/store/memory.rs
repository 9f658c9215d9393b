//! The store of a throw-away network: keeps nothing, so everything is durable at once.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Batch, Store, Ticket};

#[derive(Debug)]
pub(crate) struct MemoryStore {
    durable: watch::Sender<Ticket>,
    /// Never cancelled: what keeps nothing cannot fail to.
    failed: CancellationToken,
}

impl MemoryStore {
    pub(crate) fn new() -> Self {
        Self {
            durable: watch::Sender::new(0),
            failed: CancellationToken::new(),
        }
    }
}

impl Store for MemoryStore {
    fn batch(&self) -> Batch {
        Batch { writes: None }
    }

    fn submit(&self, _batch: Batch) -> Ticket {
        0
    }

    fn durable(&self) -> watch::Receiver<Ticket> {
        self.durable.subscribe()
    }

    fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    fn close(&self) {}
}
