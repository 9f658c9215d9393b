//! What every actor and the facade share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_model::{Clock, Network, Random};
use wharf_storage::Storage;

use crate::config::SessionConfig;
use crate::follow::CodeFollower;
use crate::port::WhatsAppNetwork;

/// What [`crate::Sessions`] is made of.
#[derive(Clone, Debug)]
pub struct SessionDeps {
    /// Settings.
    pub config: SessionConfig,
    /// The open database.
    pub storage: Storage,
    /// The port to WhatsApp.
    pub network: Arc<dyn WhatsAppNetwork>,
    /// Which network this build speaks to; stored with every session.
    pub network_kind: Network,
    /// Who follows messages with one-time codes.
    pub codes: Option<Arc<dyn CodeFollower>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids, secrets and jitter.
    pub random: Arc<dyn Random>,
    /// Cancelled when the process is to stop.
    pub shutdown: CancellationToken,
    /// Where long-lived tasks are counted.
    pub tasks: TaskTracker,
}

#[derive(Debug)]
pub(crate) struct Context {
    pub config: SessionConfig,
    pub storage: Storage,
    pub network: Arc<dyn WhatsAppNetwork>,
    pub network_kind: Network,
    pub codes: Option<Arc<dyn CodeFollower>>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// Cancelled when actors are to finish what is on the wire and end.
    pub stopping: CancellationToken,
    /// How many sessions may be dialling at once; waiters are served in order.
    pub dialling: Arc<Semaphore>,
    /// This process, as the owner of sessions.
    pub owner: String,
}

impl Context {
    pub(crate) fn new(deps: &SessionDeps) -> Self {
        let mut name = [0; 8];
        deps.random.fill(&mut name);
        Self {
            dialling: Arc::new(Semaphore::new(deps.config.start_concurrency.max(1))),
            config: deps.config.clone(),
            storage: deps.storage.clone(),
            network: Arc::clone(&deps.network),
            network_kind: deps.network_kind,
            codes: deps.codes.clone(),
            clock: Arc::clone(&deps.clock),
            random: Arc::clone(&deps.random),
            stopping: deps.shutdown.child_token(),
            owner: name.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// A random number in 0..=1000 that spreads retries out.
    pub(crate) fn jitter(&self) -> u16 {
        u16::try_from(self.random.below(1001)).unwrap_or(1000)
    }
}
