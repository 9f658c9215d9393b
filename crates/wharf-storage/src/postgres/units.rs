//! Units of work and reads on PostgreSQL: each a task of its own on a leased connection.
//!
//! They run on a runtime of their own, as SQLite's run on threads of their own: what the rest of the process does to
//! its threads or to its clock cannot make the database look lost.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot, watch};
use tokio::task::JoinHandle;
use wharf_model::SessionId;

use super::herald::Herald;
use super::open::{self, Opened};
use super::pool::{Pool, Purpose, away};
use super::tenure::{self, Ownership, Standing};
use crate::config::StorageConfig;
use crate::driver::Connection;
use crate::driver::postgres::Waiting;
use crate::error::{OpenError, StorageError};
use crate::lock::OwnerLock;
use crate::seal::Keyring;
use crate::unit::Queue;
use crate::unit::job::Until;
use crate::unit::tx::{Notes, ReadTx, Tx};

/// Threads that speak to the server; the work is done over there.
const WORKERS: usize = 2;

const WRITE: &str = "begin";
/// Later units see what such a unit wrote, and the next one that waits for the disk takes it along.
const APPLY: &str = "begin; set local synchronous_commit = off";
/// One snapshot for all statements of a read, and no way to write.
const READ: &str = "begin isolation level repeatable read read only";

/// An open database on a server.
pub(crate) struct Postgres {
    shared: Arc<Shared>,
    /// Places in the queues: signal state, other units, reads.
    places: [Arc<Semaphore>; 3],
    runtime: Own,
    capacity: u32,
    closed: AtomicBool,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// The data directory's own lock, for the files that stand there beside the database.
    _dir: OwnerLock,
}

/// A runtime that may be dropped anywhere. What runs on it then is cut off; the server rolls it back.
struct Own {
    handle: Handle,
    runtime: Option<Runtime>,
}

struct Shared {
    pool: Pool,
    standing: Arc<Standing>,
    herald: Arc<Herald>,
    keyring: Arc<Keyring>,
}

impl Postgres {
    /// Opens the database, and starts what watches the lock and what tells of commits.
    pub(crate) async fn open(
        config: &StorageConfig,
        url: String,
        changes: watch::Sender<u64>,
        nudges: broadcast::Sender<SessionId>,
    ) -> Result<(Self, Arc<Keyring>), OpenError> {
        let runtime = Own::new(&config.dir)?;
        let of_task = config.clone();
        let opened = runtime
            .handle
            .spawn(async move { open::open(&of_task, &url).await })
            .await
            .map_err(|error| OpenError::Database(Arc::new(error)))??;
        let keyring = Arc::new(Keyring::new(opened.master.clone()));
        let entered = runtime.handle.clone();
        let _entered = entered.enter();
        let started = Self::start(config, opened, runtime, changes, nudges, &keyring);
        Ok((started, keyring))
    }

    fn start(
        config: &StorageConfig,
        opened: Opened,
        runtime: Own,
        changes: watch::Sender<u64>,
        nudges: broadcast::Sender<SessionId>,
        keyring: &Arc<Keyring>,
    ) -> Self {
        let Opened {
            address, owner, dir, ..
        } = opened;
        let (herald, standing) = (Arc::new(Herald::new(changes, nudges)), Arc::new(Standing::new()));
        let (stop, stopping) = watch::channel(false);
        standing.held(1, owner.backend());
        let pool = Pool::new(config, address.clone(), Arc::clone(&standing));
        let shared = Arc::new(Shared {
            pool,
            standing: Arc::clone(&standing),
            herald: Arc::clone(&herald),
            keyring: Arc::clone(keyring),
        });
        let lost = Arc::downgrade(&shared);
        // What was connected under the lock that is lost is of no use any more.
        let on_loss = move || {
            if let Some(shared) = lost.upgrade() {
                shared.pool.clear();
            }
        };
        let keep = tenure::keep(
            address.clone(),
            owner,
            standing,
            Arc::clone(&herald),
            on_loss,
            stopping.clone(),
        );
        let tell = herald.serve(address, stopping);
        let capacity = u32::try_from(config.queue_capacity.clamp(1, 1_000_000)).unwrap_or(1_000_000);
        Self {
            shared,
            places: std::array::from_fn(|_| Arc::new(Semaphore::new(capacity as usize))),
            runtime,
            capacity,
            closed: AtomicBool::new(false),
            stop,
            tasks: Mutex::new(vec![tokio::spawn(keep), tokio::spawn(tell)]),
            _dir: dir,
        }
    }

    pub(crate) fn ownership(&self) -> watch::Receiver<Ownership> {
        self.shared.standing.public().subscribe()
    }

    #[cfg(feature = "conformance")]
    pub(crate) fn is_caught_up(&self) -> bool {
        self.shared.herald.is_caught_up()
    }

    /// How many wait for a connection: signal state, other units, reads.
    pub(crate) fn waiting(&self) -> [usize; 3] {
        [Purpose::SignalState, Purpose::Normal, Purpose::Read].map(|purpose| self.shared.pool.waiting(purpose))
    }

    pub(crate) async fn write<T, F>(&self, queue: Queue, work: F, until: Until) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        let begin = match until {
            Until::Durable => WRITE,
            Until::Applied => APPLY,
        };
        let purpose = match queue {
            Queue::SignalState => Purpose::SignalState,
            Queue::Normal => Purpose::Normal,
        };
        let place = self.place(purpose).await?;
        let shared = Arc::clone(&self.shared);
        // A task of its own: a caller that goes away does not cancel it.
        let unit = self.runtime.handle.spawn(async move {
            let result = shared.write(purpose, begin, work).await;
            drop(place);
            result
        });
        unit.await.unwrap_or(Err(StorageError::Closed))
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut ReadTx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        let place = self.place(Purpose::Read).await?;
        let shared = Arc::clone(&self.shared);
        let (reply, answer) = oneshot::channel();
        self.runtime.handle.spawn(async move {
            shared.read(work, reply).await;
            drop(place);
        });
        answer.await.map_err(|_| StorageError::Closed)?
    }

    async fn place(&self, purpose: Purpose) -> Result<OwnedSemaphorePermit, StorageError> {
        let places = Arc::clone(&self.places[purpose as usize]);
        let place = places.acquire_owned().await.map_err(|_| StorageError::Closed)?;
        if self.closed.load(Ordering::SeqCst) {
            return Err(StorageError::Closed);
        }
        Ok(place)
    }

    /// Finishes what is queued and gives the lock back.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for places in &self.places {
            // A semaphore of ours is never closed.
            let _ = places.acquire_many(self.capacity).await.map(drop);
        }
        let _ = self.stop.send(true);
        self.shared.pool.clear();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            let _ = task.await;
        }
    }
}

impl Own {
    fn new(dir: &Path) -> Result<Self, OpenError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("wharf-database")
            .enable_all()
            .build()
            .map_err(|source| OpenError::Io {
                path: dir.to_owned(),
                source,
            })?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    async fn write<T, F>(&self, purpose: Purpose, begin: &'static str, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        let lease = self.pool.lease(purpose).await?;
        let (mut connection, tenure) = (lease.connection, lease.tenure);
        connection.begin(begin);
        let waiting = connection.waiting();
        let mut tx = Tx::new(Connection::Postgres(connection));
        // From here on, going away without a word closes the connection, and the server rolls back.
        let outcome = tokio::select! {
            biased;
            () = self.pool.over(tenure) => return Err(away("the database was lost during the unit of work")),
            outcome = to_its_end(work, &mut tx, waiting) => outcome,
        };
        let (connection, notes) = tx.into_parts();
        let Connection::Postgres(mut connection) = connection else {
            return Err(StorageError::Closed);
        };
        let value = match outcome {
            Ok(value) => value,
            Err(error) => {
                if !is_lost(&error) && connection.rollback().await.is_ok() {
                    self.pool.give_back(tenure, connection);
                }
                return Err(error);
            }
        };
        if !self.pool.is_now(tenure) {
            return Err(away("the database was lost before the commit"));
        }
        match connection.commit(notes.events).await {
            Ok(txid) => {
                self.committed(notes, txid);
                self.pool.give_back(tenure, connection);
                Ok(value)
            }
            // The connection is closed: whatever state the transaction is in, nothing more comes of it here.
            Err(error) => Err(commit_failed(error)),
        }
    }

    /// Answers before the transaction is ended: nobody has to wait for that.
    async fn read<T, F>(&self, work: F, reply: oneshot::Sender<Result<T, StorageError>>)
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut ReadTx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        let lease = match self.pool.lease(Purpose::Read).await {
            Ok(lease) => lease,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let (mut connection, tenure) = (lease.connection, lease.tenure);
        connection.begin(READ);
        let waiting = connection.waiting();
        let mut tx = ReadTx::new(Connection::Postgres(connection));
        let outcome = tokio::select! {
            biased;
            () = self.pool.over(tenure) => Err(away("the database was lost during the read")),
            outcome = to_its_end(work, &mut tx, waiting) => outcome,
        };
        let lost = outcome.as_ref().is_err_and(is_lost);
        let _ = reply.send(outcome);
        if !lost
            && let Connection::Postgres(mut connection) = tx.into_connection()
            && self.pool.is_now(tenure)
            && connection.rollback().await.is_ok()
        {
            self.pool.give_back(tenure, connection);
        }
    }

    fn committed(&self, notes: Notes, txid: Option<u64>) {
        // Before the caller goes on: a key that it shredded must be out of memory by then.
        if !notes.forgotten.is_empty() {
            self.keyring.forget(&notes.forgotten);
        }
        self.herald.committed(txid, notes.outbound);
    }
}

/// Runs the closure to its end, and turns a panic into an error. Waiting for anything but the transaction is refused
/// here as on SQLite: it would hold a connection, and locks, for as long as somebody else likes.
async fn to_its_end<X, T, F>(work: F, tx: &mut X, waiting: Waiting) -> Result<T, StorageError>
where
    X: Send,
    F: for<'a> FnOnce(&'a mut X) -> BoxFuture<'a, Result<T, StorageError>> + Send,
{
    let unit = async move {
        let mut unit = work(tx);
        std::future::poll_fn(move |cx| match unit.as_mut().poll(cx) {
            Poll::Pending if !waiting.is_on() => Poll::Ready(Err(StorageError::AwaitedOutside)),
            other => other,
        })
        .await
    };
    // Unwind safety: whatever the closure left half done in the transaction is rolled back by the caller.
    AssertUnwindSafe(unit)
        .catch_unwind()
        .await
        .unwrap_or(Err(StorageError::UnitPanicked))
}

/// A connection that said nothing, or is gone, has nothing to say to a rollback either: it is closed.
const fn is_lost(error: &StorageError) -> bool {
    matches!(error, StorageError::Unavailable(_))
}

/// A commit that failed for want of a connection may have been made: its caller hears that it failed.
fn commit_failed(error: StorageError) -> StorageError {
    tracing::debug!(error = %error, "a commit failed");
    error
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("pool", &self.shared.pool)
            .finish_non_exhaustive()
    }
}

/// For the cases that fill every connection.
#[cfg(feature = "conformance")]
pub(crate) fn width(config: &StorageConfig) -> usize {
    Pool::width(config.connections)
}
