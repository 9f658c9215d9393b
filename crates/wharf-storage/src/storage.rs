//! The handle that everything else holds: units of work in, notifications out, keys in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use futures::future::BoxFuture;
use tokio::sync::{broadcast, oneshot, watch};
use wharf_model::{Clock, Random, SessionId};

use crate::config::StorageConfig;
use crate::error::{OpenError, StorageError};
use crate::lock::OwnerLock;
use crate::open::{self, Opened};
use crate::seal::Keyring;
use crate::unit::Queue;
use crate::unit::job::{Job, Work};
use crate::unit::queue::Queues;
use crate::unit::reader::Reader;
use crate::unit::tx::{Notes, ReadTx, Tx};
use crate::unit::writer::{Committed, Writer};

/// How many nudges a slow listener may fall behind before it is told to look at every session.
const NUDGES: usize = 4096;

/// An open database. Cheap to clone; the last clone to go closes it, waiting for what is queued.
#[derive(Clone, Debug)]
pub struct Storage {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: StorageConfig,
    pub(crate) keyring: Arc<Keyring>,
    writes: Arc<Queues<Tx>>,
    reads: Arc<Queues<ReadTx>>,
    changes: watch::Sender<u64>,
    nudges: broadcast::Sender<SessionId>,
    readers: Threads,
    writer: Threads,
    /// One rotation at a time: two would exchange their key files.
    pub(crate) rotation: tokio::sync::Mutex<()>,
}

type Threads = Mutex<Vec<JoinHandle<()>>>;

/// How much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepths {
    /// Units that write signal state.
    pub signal_state: usize,
    /// All other units that write.
    pub normal: usize,
    /// Reads.
    pub reads: usize,
}

impl Storage {
    /// Takes the owner lock, checks key and schema, migrates, and starts the threads.
    ///
    /// # Errors
    /// One plain sentence; see [`OpenError`]. Nothing was changed on disk then, except that a failed migration leaves
    /// the ones before it.
    pub async fn open(config: StorageConfig) -> Result<Self, OpenError> {
        let (opened, config) = tokio::task::spawn_blocking(move || (open::open(&config), config))
            .await
            .map_err(|error| OpenError::Database(Arc::new(error)))?;
        Self::start(config, opened?)
    }

    fn start(config: StorageConfig, opened: Opened) -> Result<Self, OpenError> {
        let Opened {
            lock,
            master,
            writer,
            readers,
        } = opened;
        let lock = Arc::new(lock);
        let keyring = Arc::new(Keyring::new(master));
        let (changes, nudges) = (watch::Sender::new(0), broadcast::Sender::new(NUDGES));
        let publisher = Publisher {
            changes: changes.clone(),
            nudges: nudges.clone(),
            keyring: Arc::clone(&keyring),
        };
        let (writes, reads) = (
            Arc::new(Queues::new(config.queue_capacity)),
            Arc::new(Queues::new(config.queue_capacity)),
        );
        let inner = Inner {
            config,
            keyring,
            writes,
            reads,
            changes,
            nudges,
            readers: Mutex::new(Vec::new()),
            writer: Mutex::new(Vec::new()),
            rotation: tokio::sync::Mutex::new(()),
        };
        let writer = Writer::new(writer, Arc::clone(&inner.writes), publisher);
        inner.spawn(&inner.writer, "wharf-writer", &lock, move || writer.run())?;
        for reader in readers {
            let reader = Reader::new(reader, Arc::clone(&inner.reads));
            inner.spawn(&inner.readers, "wharf-reader", &lock, move || reader.run())?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs a unit of work and answers once it is durable.
    ///
    /// The closure may await its transaction and nothing else; it should be short, and seal, hash and validate before.
    /// A caller that goes away while its unit is queued does not cancel it. When a commit fails on a broken disk, what
    /// it held counts as failed; whether the disk kept it is only known after the next start.
    ///
    /// # Errors
    /// The closure's own error, a panic in it, or the failure of the commit that it shared.
    pub async fn write<T, F>(&self, queue: Queue, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        submit(&self.inner.writes, queue, work).await
    }

    /// Runs a closure on a snapshot, beside the writer and beside other reads.
    ///
    /// # Errors
    /// The closure's own error, or a panic in it.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut ReadTx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        submit(&self.inner.reads, Queue::Normal, work).await
    }

    /// Changes after every commit that appended events. The number says nothing but that there is more to read.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Names a session after every commit that gave it something to send. A listener that lagged looks at every
    /// session of its own: the rows are the truth, a nudge only saves the wait.
    pub fn outbound_nudges(&self) -> broadcast::Receiver<SessionId> {
        self.inner.nudges.subscribe()
    }

    /// How much waits, for metrics and for turning callers away early.
    pub fn queue_depths(&self) -> QueueDepths {
        let (signal_state, normal) = self.inner.writes.depths();
        QueueDepths {
            signal_state,
            normal,
            reads: self.inner.reads.depths().1,
        }
    }

    /// Cuts the write-ahead log to nothing, so that what was deleted is not in it any more.
    ///
    /// # Errors
    /// The log is in use, or the disk fails.
    pub async fn truncate_log(&self) -> Result<(), StorageError> {
        let (reply, answer) = oneshot::channel();
        self.inner.writes.push_truncation(reply)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Finishes what is queued, closes the database and gives the owner lock back. Other clones get
    /// [`StorageError::Closed`] from then on.
    pub async fn close(self) {
        // A join can take as long as the queue is deep: not a thing to do on an async thread.
        let _ = tokio::task::spawn_blocking(move || self.inner.shut_down()).await;
    }

    /// The clock that storage was given.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.config.clock
    }

    /// The random source that storage was given.
    pub fn random(&self) -> &Arc<dyn Random> {
        &self.inner.config.random
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage")
            .field("dir", &self.config.dir)
            .finish_non_exhaustive()
    }
}

async fn submit<X, T, F>(queues: &Queues<X>, queue: Queue, work: F) -> Result<T, StorageError>
where
    X: 'static,
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut X) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
{
    let (work, answer) = Work::new(work);
    let job: Box<dyn Job<X>> = Box::new(work);
    queues.push(queue, job).await?;
    answer.await.map_err(|_| StorageError::Closed)?
}

impl Inner {
    /// Every thread holds the lock, so that it is given back when the last connection is closed and not before.
    fn spawn(
        &self,
        threads: &Threads,
        name: &str,
        lock: &Arc<OwnerLock>,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), OpenError> {
        let lock = Arc::clone(lock);
        let body = move || {
            run();
            drop(lock);
        };
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(|source| OpenError::Io {
                path: self.config.dir.clone(),
                source,
            })?;
        threads.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
        Ok(())
    }

    /// The writer closes last: only a connection that may write clears its log away.
    fn shut_down(&self) {
        self.reads.close();
        join(&self.readers);
        self.writes.close();
        join(&self.writer);
    }
}

fn join(threads: &Threads) {
    let threads = std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
    for handle in threads {
        // A unit may own the last clone; its thread cannot wait for itself.
        if handle.thread().id() != thread::current().id() && handle.join().is_err() {
            tracing::error!("a storage thread ended in a panic");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Tells the world what a commit changed.
struct Publisher {
    changes: watch::Sender<u64>,
    nudges: broadcast::Sender<SessionId>,
    keyring: Arc<Keyring>,
}

impl Committed for Publisher {
    fn committed(&self, notes: Notes) {
        if !notes.forgotten.is_empty() {
            self.keyring.forget(&notes.forgotten);
        }
        if notes.events {
            self.changes.send_modify(|version| *version += 1);
        }
        for session in notes.outbound {
            // Nobody listening is fine: rows are found at the next look.
            let _ = self.nudges.send(session);
        }
    }
}
