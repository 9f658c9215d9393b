//! Owns the state of the simulated network: accounts, their devices and queues, and who is connected.
//! Locks are per account, short, and never held across an await or while another account is locked.

pub(crate) mod account;
pub(crate) mod contacts;
pub(crate) mod device;
pub(crate) mod directory;
pub(crate) mod faults;
pub(crate) mod groups;
pub(crate) mod ids;
pub(crate) mod journal;
pub(crate) mod links;
pub(crate) mod media;
pub(crate) mod observations;
pub(crate) mod queue;
pub(crate) mod records;
pub(crate) mod restore;
pub(crate) mod session;
pub(crate) mod spelling;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{SandboxConfig, Timing};
use crate::error::SandboxError;
use crate::model::{Change, Changed};
use crate::store::{Kind, Store, Ticket};
use crate::wire::certificate::ServerKeys;
use directory::Directory;
use faults::Faults;
use groups::Groups;
use ids::Ids;
use journal::UnhandledLog;
use links::PendingLinks;
use media::Media;
use observations::ObservationLog;

/// How many change notices a slow watcher may lag behind before it misses some.
const CHANGE_BACKLOG: usize = 1024;

/// Everything the connections, the phones and the control API share.
#[derive(Debug)]
pub(crate) struct Network {
    pub keys: ServerKeys,
    pub timing: Timing,
    /// How many companions an account may have.
    pub companions: usize,
    /// From how many patches on a snapshot is given.
    pub snapshot_from: usize,
    pub store: Arc<dyn Store>,
    pub directory: Directory,
    pub groups: Groups,
    ids: Ids,
    pub links: PendingLinks,
    pub unhandled: UnhandledLog,
    pub observations: ObservationLog,
    pub faults: Faults,
    pub media: Media,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    /// Where clients fetch things by HTTP: scheme and authority.
    address: OnceLock<(&'static str, String)>,
    changes: broadcast::Sender<Change>,
    connections: AtomicU64,
    rng: Mutex<StdRng>,
}

impl Network {
    pub(crate) fn new(keys: ServerKeys, config: &SandboxConfig, store: Arc<dyn Store>, mut rng: StdRng) -> Self {
        Self {
            keys,
            timing: config.timing,
            companions: config.companions,
            snapshot_from: config.snapshot_from,
            store,
            directory: Directory::default(),
            groups: Groups::default(),
            ids: Ids::new(&mut rng),
            links: PendingLinks::default(),
            unhandled: UnhandledLog::default(),
            faults: Faults::default(),
            media: Media::default(),
            observations: ObservationLog::new(config.stanza_log),
            address: OnceLock::new(),
            connections: AtomicU64::new(0),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            changes: broadcast::Sender::new(CHANGE_BACKLOG),
            rng: Mutex::new(rng),
        }
    }

    /// The network is reached at this address from now on.
    pub(crate) fn listens_at(&self, scheme: &'static str, authority: String) {
        // There is one start.
        let _first = self.address.set((scheme, authority));
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        self.address.get().map_or("", |(_, authority)| authority)
    }

    /// Where the picture of an account is fetched.
    pub(crate) fn picture_url(&self, number: &str, id: &str) -> String {
        let scheme = self.address.get().map_or("http", |(scheme, _)| scheme);
        format!("{scheme}://{}/pictures/{number}/{id}", self.authority())
    }

    /// Keeps a file whose hash is its token; the address that it is fetched at, valid once the ticket is durable.
    pub(crate) fn keep_file(&self, token: String, bytes: &Bytes) -> (String, Ticket) {
        let kept = self.media.keep(&token, bytes.clone(), &mut self.rng());
        let mut batch = self.store.batch();
        batch.put(Kind::Media, || token, || records::encode_media(&kept.path, bytes));
        for dropped in kept.dropped {
            batch.delete(Kind::Media, || dropped);
        }
        (kept.path, self.store.submit(batch))
    }

    /// A generator of its own for one task, so that key generation never waits for the shared one.
    pub(crate) fn rng(&self) -> StdRng {
        StdRng::from_rng(&mut *self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number from `low` up to but not including `high`.
    pub(crate) fn random_below(&self, low: u64, high: u64) -> u64 {
        self.rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .random_range(low..high)
    }

    /// The number of the next connection; the first is 1.
    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// An identifier for a stanza that goes to an account, or that its phone sends. `asker` is the account's number, or
    /// what asks before there is an account.
    pub(crate) fn stanza_id(&self, asker: &str) -> String {
        format!("{:016X}", self.ids.next(asker))
    }

    /// A hidden identifier for an account: 15 digits.
    pub(crate) fn lid(&self) -> String {
        let lid = self.ids.next_within("lid", 100_000_000_000_000, 1_000_000_000_000_000);
        lid.to_string()
    }

    /// An id for a profile picture.
    pub(crate) fn picture_id(&self, number: &str) -> String {
        self.ids.next_within(number, 1_000_000_000, 10_000_000_000).to_string()
    }

    /// An id for a group, as long as those of the real network.
    pub(crate) fn group_id(&self, creator: &str) -> String {
        let id = self
            .ids
            .next_within(creator, 120_363_000_000_000_000, 120_364_000_000_000_000);
        id.to_string()
    }

    /// A code for the link of a group: 22 letters and digits.
    pub(crate) fn invite_code(&self, asker: &str) -> String {
        format!("{:016x}{:06x}", self.ids.next(asker), self.ids.next(asker) & 0xff_ffff)
    }

    /// Waits until a commit is done, or until the sandbox stops: what is left is committed then.
    pub(crate) async fn durable(&self, ticket: Ticket) -> Result<(), SandboxError> {
        let mut durable = self.store.durable();
        let failed = self.store.failed();
        tokio::select! {
            biased;
            _ = durable.wait_for(|&durable| durable >= ticket) => Ok(()),
            () = failed.cancelled() => Err(SandboxError::NotKept),
            () = self.stop.cancelled() => Ok(()),
        }
    }

    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Tells whoever watches. Nobody watching is fine, and costs nothing.
    pub(crate) fn announce(&self, phone: &str, what: Changed) {
        if self.changes.receiver_count() == 0 {
            return;
        }
        let _watched = self.changes.send(Change {
            phone: phone.to_owned(),
            what,
        });
    }
}
