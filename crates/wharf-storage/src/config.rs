//! What storage needs to know before it opens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wharf_model::{Clock, Network, Random, SystemEdges};

use crate::seal::MasterKey;

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power (`synchronous=FULL`, `synchronous_commit=on`). Group commit makes it cheap.
    #[default]
    Power,
    /// A crash of the process only (`synchronous=NORMAL`, `synchronous_commit=off`; the option `durability=process`): a loss of power may take
    /// the last commits, never the consistency.
    Process,
}

/// How to open storage. The server reads files and environment; this crate receives the result.
#[derive(Clone)]
pub struct StorageConfig {
    /// The data directory: `wharf.db`, `wharf.lock` and, unless configured otherwise, `master.key`.
    pub dir: PathBuf,
    /// Keep everything in this process's memory: no file is made, and all is gone when storage is closed. The directory
    /// and the address of a server mean nothing then.
    pub in_memory: bool,
    /// The address of a PostgreSQL server instead of the file; see `postgres/address.rs` for what `sslmode` means.
    /// The directory then holds `wharf.lock` only.
    pub url: Option<String>,
    /// Connections to the server, 2 to 1,000; a quarter of them, 8 at most, are kept for signal state. Two more watch.
    pub connections: usize,
    /// How long a unit waits for one answer of the server before it fails and its connection is closed. The server itself
    /// ends what waits 10 s for a lock or takes 30 s; this is for a connection that says nothing any more.
    pub answer_within: Duration,
    /// The network of this build; a database of the other network is refused.
    pub network: Network,
    /// See [`Durability`].
    pub durability: Durability,
    /// The master key from configuration. `None`: from `DIR/master.key`, made at the first start.
    pub master_key: Option<MasterKey>,
    /// Reader threads, 1 to 8, and as many connections for short reads on the callers' threads.
    pub readers: usize,
    /// How many units may wait in each queue before callers are made to wait.
    pub queue_capacity: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Keys, nonces and ids.
    pub random: Arc<dyn Random>,
}

impl StorageConfig {
    /// Storage that leaves no trace: in memory, under a master key that nobody else has.
    pub fn in_memory(network: Network) -> Self {
        let defaults = Self::new(PathBuf::new(), network);
        Self {
            in_memory: true,
            master_key: Some(MasterKey::generate(&*defaults.random)),
            ..defaults
        }
    }

    /// The defaults for a directory: full durability, key file, two readers, the machine's own clock and randomness.
    pub fn new(dir: impl Into<PathBuf>, network: Network) -> Self {
        Self {
            dir: dir.into(),
            in_memory: false,
            url: None,
            connections: 16,
            answer_within: Duration::from_secs(45),
            network,
            durability: Durability::default(),
            master_key: None,
            readers: 2,
            queue_capacity: 4096,
            clock: Arc::new(SystemEdges),
            random: Arc::new(SystemEdges),
        }
    }
}

/// The address of a server holds a password: it is not shown.
impl std::fmt::Debug for StorageConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorageConfig")
            .field("dir", &self.dir)
            .field("url", &self.url.as_ref().map(|_| "***"))
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
