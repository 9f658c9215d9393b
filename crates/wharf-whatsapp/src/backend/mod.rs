//! Owns the engine's memory: its `Backend` over the sealed rows of `wa_state`.
//!
//! Promises: no address stands in a row in plain (keys and owners are keyed hashes, an address that must be given back
//! stands inside the sealed value); a batch is one unit of work, and so is every read-modify-write; writes of signal
//! state overtake all others; after one failed write this backend writes nothing more, because what the engine holds
//! in memory is ahead of what is stored; a message that came in and whose ratchet was stored without it is found out and
//! asked for again. A message that Wharf sent is not kept a second time: its own row answers
//! retry receipts.

mod app_sync;
mod carry;
mod device;
mod inbound;
mod kinds;
mod msg_secrets;
mod portable;
mod protocol;
mod rows;
mod sent;
mod signal;

#[cfg(test)]
mod tests;

pub use carry::{CarryError, carry_over};
pub(crate) use inbound::Loss;
pub use portable::EngineFormat;
pub(crate) use portable::linked_device;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use wharf_model::{Clock, SessionId};
use wharf_session::port::SessionLease;
use wharf_storage::sessions::Fence;
use wharf_storage::{SessionKeys, Storage};

use crate::intake::Intake;

/// How long the engine keeps a message that waits for its commit; its own constant, see its keep-alive loop.
const PENDING_INBOUND_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a commit of a message is remembered. WhatsApp delivers a message again when its acknowledgement was lost,
/// on the next connection; a message that comes later than this is asked for again, and its row is there already.
const COMMITTED_TTL: Duration = Duration::from_secs(24 * 3600);

/// One session's engine state. See the module.
pub(crate) struct WaBackend {
    storage: Storage,
    clock: Arc<dyn Clock>,
    keys: Arc<SessionKeys>,
    fence: Fence,
    sent_ttl: Duration,
    poisoned: watch::Sender<bool>,
    losses: watch::Sender<Vec<Loss>>,
    intake: Arc<Intake>,
    /// Messages of Wharf's own that the engine is sending now.
    outbound: Mutex<HashSet<String>>,
}

impl WaBackend {
    /// On the rows of the lease's session, written under the lease's epoch.
    pub(crate) fn new(
        storage: Storage,
        clock: Arc<dyn Clock>,
        keys: Arc<SessionKeys>,
        lease: SessionLease,
        sent_ttl: Duration,
    ) -> Self {
        Self {
            storage,
            clock,
            keys,
            fence: Fence {
                session: lease.session,
                epoch: lease.epoch,
            },
            sent_ttl,
            poisoned: watch::Sender::new(false),
            losses: watch::Sender::default(),
            intake: Arc::default(),
            outbound: Mutex::default(),
        }
    }

    /// Counts what comes in, so that no ratchet is stored over the head of its message.
    pub(crate) fn counting(self, intake: Arc<Intake>) -> Self {
        Self { intake, ..self }
    }

    /// Whose state this is.
    pub(crate) fn session(&self) -> SessionId {
        self.fence.session
    }

    /// Whether a write failed; from then on every write is refused.
    pub(crate) fn is_poisoned(&self) -> bool {
        *self.poisoned.borrow()
    }

    /// Waits until a write fails.
    pub(crate) async fn poisoning(&self) {
        // The sender is ours: waiting ends with `true` and in no other way.
        let _ = self.poisoned.subscribe().wait_for(|poisoned| *poisoned).await;
    }

    /// A message of Wharf's own goes through the engine: its row is its copy for retries. Until the note is dropped.
    pub(crate) fn note_outbound<'a>(&'a self, whatsapp_id: &'a str) -> OutboundNote<'a> {
        self.outbound().insert(whatsapp_id.to_owned());
        OutboundNote {
            backend: self,
            whatsapp_id,
        }
    }

    fn outbound(&self) -> MutexGuard<'_, HashSet<String>> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`WaBackend::note_outbound`].
pub(crate) struct OutboundNote<'a> {
    backend: &'a WaBackend,
    whatsapp_id: &'a str,
}

impl Drop for OutboundNote<'_> {
    fn drop(&mut self) {
        self.backend.outbound().remove(self.whatsapp_id);
    }
}

impl std::fmt::Debug for WaBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaBackend")
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}
