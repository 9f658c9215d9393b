//! The handle that everything else holds: units of work in, notifications out, keys in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use futures::future::BoxFuture;
use tokio::sync::{broadcast, oneshot, watch};
use wharf_model::{Clock, Random, SessionId};

use crate::config::StorageConfig;
use crate::driver::value::params;
use crate::error::{OpenError, StorageError};
use crate::lock::OwnerLock;
use crate::open::{self, Opened};
use crate::postgres::{Ownership, Postgres};
use crate::seal::Keyring;
use crate::unit::Queue;
use crate::unit::glance::Glances;
use crate::unit::job::{Job, Until, Work};
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
    dialect: Dialect,
    changes: watch::Sender<u64>,
    nudges: broadcast::Sender<SessionId>,
    /// One rotation at a time: two would exchange their key files.
    pub(crate) rotation: tokio::sync::Mutex<()>,
}

enum Dialect {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// A database file: one thread that writes, a few that read.
struct Sqlite {
    writes: Arc<Queues<Tx>>,
    reads: Arc<Queues<ReadTx>>,
    readers: Threads,
    glances: Glances,
    writer: Threads,
    /// A file is ours as long as its lock is held, and that is as long as its threads live.
    ownership: watch::Sender<Ownership>,
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
        let (changes, nudges) = (watch::Sender::new(0), broadcast::Sender::new(NUDGES));
        let (keyring, dialect) = match config.url.clone().filter(|_| !config.in_memory) {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                let (postgres, keyring) = Postgres::open(&config, url, changes.clone(), nudges.clone()).await?;
                (keyring, Dialect::Postgres(postgres))
            }
            Some(_) => return Err(OpenError::UnknownAddress),
            None => {
                let of_thread = config.clone();
                let opened = tokio::task::spawn_blocking(move || open::open(&of_thread))
                    .await
                    .map_err(|error| OpenError::Database(Arc::new(error)))??;
                let keyring = Arc::new(Keyring::new(opened.master.clone()));
                let publisher = Publisher {
                    changes: changes.clone(),
                    nudges: nudges.clone(),
                    keyring: Arc::clone(&keyring),
                };
                (keyring, Dialect::Sqlite(Sqlite::start(&config, opened, publisher)?))
            }
        };
        let inner = Inner {
            config,
            keyring,
            dialect,
            changes,
            nudges,
            rotation: tokio::sync::Mutex::new(()),
        };
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
        let work = counted(work);
        match &self.inner.dialect {
            Dialect::Sqlite(sqlite) => submit(&sqlite.writes, queue, work, Until::Durable).await,
            Dialect::Postgres(postgres) => postgres.write(queue, work, Until::Durable).await,
        }
    }

    /// Runs a unit of work and answers once it is applied: every later unit sees what it wrote, and it is durable with
    /// the next commit, which is a few milliseconds away at most. For notes that save work after a crash and promise nothing to anybody: one whose
    /// commit fails is gone. On PostgreSQL it is committed without waiting for the disk.
    ///
    /// # Errors
    /// The closure's own error, or a panic in it.
    pub async fn apply<T, F>(&self, queue: Queue, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        let work = counted(work);
        match &self.inner.dialect {
            Dialect::Sqlite(sqlite) => submit(&sqlite.writes, queue, work, Until::Applied).await,
            Dialect::Postgres(postgres) => postgres.write(queue, work, Until::Applied).await,
        }
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
        match &self.inner.dialect {
            Dialect::Sqlite(sqlite) => submit(&sqlite.reads, Queue::Normal, work, Until::Durable).await,
            Dialect::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// As [`Self::read`], for a few rows by their keys that are most likely in memory: on a file it runs at once on the
    /// caller's thread, when a connection is free. Never for a search, a count or a long page; the thread may be one
    /// that serves everybody.
    ///
    /// # Errors
    /// The closure's own error, or a panic in it.
    pub async fn glance<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut ReadTx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        let work = match &self.inner.dialect {
            Dialect::Sqlite(sqlite) => match sqlite.glances.read(work) {
                Ok(found) => return found,
                Err(work) => work,
            },
            Dialect::Postgres(_) => work,
        };
        self.read(work).await
    }

    /// Whether this process owns the database right now. With a file it always does; a server's lock can be lost, and
    /// nothing is written until it is held again. On [`Ownership::Taken`] the process has to end.
    pub fn ownership(&self) -> watch::Receiver<Ownership> {
        match &self.inner.dialect {
            Dialect::Sqlite(sqlite) => sqlite.ownership.subscribe(),
            Dialect::Postgres(postgres) => postgres.ownership(),
        }
    }

    /// Writes a row that means nothing: proof that the database takes writes, for a page that says whether it does.
    ///
    /// # Errors
    /// It does not.
    pub async fn probe(&self) -> Result<(), StorageError> {
        let now = self.clock().now();
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let sql = "insert into meta (key, value) values ('probe', $1)
                           on conflict (key) do update set value = excluded.value";
                tx.execute(sql, params![&now.as_millis().to_be_bytes()]).await.map(drop)
            })
        })
        .await
    }

    /// Changes when there are events to read that could not be read before. The number says nothing else.
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
        let [signal_state, normal, reads] = match &self.inner.dialect {
            Dialect::Sqlite(sqlite) => {
                let (signal_state, normal) = sqlite.writes.depths();
                [signal_state, normal, sqlite.reads.depths().1]
            }
            Dialect::Postgres(postgres) => postgres.waiting(),
        };
        QueueDepths {
            signal_state,
            normal,
            reads,
        }
    }

    /// Cuts the write-ahead log to nothing, so that what was deleted is not in it any more. A server keeps its log for
    /// as long as its operator says; there is nothing to be done about that from here.
    ///
    /// # Errors
    /// The log is in use, or the disk fails.
    pub async fn truncate_log(&self) -> Result<(), StorageError> {
        let Dialect::Sqlite(sqlite) = &self.inner.dialect else {
            return Ok(());
        };
        let (reply, answer) = oneshot::channel();
        sqlite.writes.push_truncation(reply)?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Waits until every event that this process committed can be read: for tests that look without following.
    #[cfg(feature = "conformance")]
    pub async fn until_events_are_readable(&self) {
        let mut changes = self.changes();
        while let Dialect::Postgres(postgres) = &self.inner.dialect {
            changes.borrow_and_update();
            if postgres.is_caught_up() || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// How many units that are not of signal state run at once.
    #[cfg(feature = "conformance")]
    pub(crate) fn writers(&self) -> usize {
        match &self.inner.dialect {
            Dialect::Sqlite(_) => 1,
            Dialect::Postgres(_) => crate::postgres::width(&self.inner.config),
        }
    }

    /// Finishes what is queued, closes the database and gives the owner lock back. Other clones get
    /// [`StorageError::Closed`] from then on.
    pub async fn close(self) {
        if let Dialect::Postgres(postgres) = &self.inner.dialect {
            return postgres.close().await;
        }
        // A join can take as long as the queue is deep: not a thing to do on an async thread.
        let _ = tokio::task::spawn_blocking(move || {
            if let Dialect::Sqlite(sqlite) = &self.inner.dialect {
                sqlite.shut_down();
            }
        })
        .await;
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

/// The unit with what belongs to its end: the numbers that it counted are written last.
fn counted<T, F>(work: F) -> impl for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
{
    move |tx| {
        Box::pin(async move {
            let done = work(tx).await?;
            tx.write_tallies().await?;
            Ok(done)
        })
    }
}

async fn submit<X, T, F>(queues: &Queues<X>, queue: Queue, work: F, until: Until) -> Result<T, StorageError>
where
    X: 'static,
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut X) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
{
    let (work, answer) = Work::new(work, until);
    let job: Box<dyn Job<X>> = Box::new(work);
    queues.push(queue, job).await?;
    answer.await.map_err(|_| StorageError::Closed)?
}

impl Sqlite {
    fn start(config: &StorageConfig, opened: Opened, publisher: Publisher) -> Result<Self, OpenError> {
        let lock = Arc::new(opened.lock);
        let sqlite = Self {
            writes: Arc::new(Queues::new(config.queue_capacity)),
            reads: Arc::new(Queues::new(config.queue_capacity)),
            readers: Mutex::new(Vec::new()),
            glances: Glances::new(opened.glances),
            writer: Mutex::new(Vec::new()),
            ownership: watch::Sender::new(Ownership::Held),
        };
        let writer = Writer::new(opened.writer, Arc::clone(&sqlite.writes), publisher);
        sqlite
            .spawn(&sqlite.writer, "wharf-writer", &lock, move || writer.run())
            .map_err(|source| no_thread(config, source))?;
        for reader in opened.readers {
            let reader = Reader::new(reader, Arc::clone(&sqlite.reads));
            sqlite
                .spawn(&sqlite.readers, "wharf-reader", &lock, move || reader.run())
                .map_err(|source| no_thread(config, source))?;
        }
        Ok(sqlite)
    }

    /// Every thread holds the lock, so that it is given back when the last connection is closed and not before.
    fn spawn(
        &self,
        threads: &Threads,
        name: &str,
        lock: &Arc<Option<OwnerLock>>,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let lock = Arc::clone(lock);
        let body = move || {
            run();
            drop(lock);
        };
        let handle = thread::Builder::new().name(name.to_owned()).spawn(body)?;
        threads.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
        Ok(())
    }

    /// The writer closes last: only a connection that may write clears its log away.
    fn shut_down(&self) {
        self.reads.close();
        self.glances.close();
        join(&self.readers);
        self.writes.close();
        join(&self.writer);
    }
}

fn no_thread(config: &StorageConfig, source: std::io::Error) -> OpenError {
    OpenError::Io {
        path: config.dir.clone(),
        source,
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

/// A thread that failed to start leaves those that did; a handle that is dropped leaves all of them. On a server there
/// are no threads: the tasks end when what they watch is dropped.
impl Drop for Sqlite {
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
