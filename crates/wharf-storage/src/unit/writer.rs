//! The SQLite writer: one thread that owns the one writing connection and commits in groups.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::Queue;
use super::job::Job;
use super::queue::{Queues, Task};
use super::tx::{Notes, Tx};
use crate::driver::Connection;
use crate::driver::sqlite::SqliteConnection;
use crate::error::StorageError;

/// The most units that one commit carries.
const GROUP: usize = 1000;

/// A group that holds signal state commits this soon after its start, however much else waits.
const SIGNAL_LINGER: Duration = Duration::from_millis(1);

/// A group that nobody waits for stays open this long, to share its commit with whatever comes next.
const APPLIED_LINGER: Duration = Duration::from_millis(5);

/// Told after every commit, on the writer thread.
pub(crate) trait Committed: Send {
    fn committed(&self, notes: Notes);
}

pub(crate) struct Writer<C> {
    tx: Tx,
    queues: Arc<Queues<Tx>>,
    committed: C,
}

/// The units that share a commit.
#[derive(Default)]
struct Group {
    jobs: Vec<Box<dyn Job<Tx>>>,
    places: Vec<OwnedSemaphorePermit>,
    notes: Notes,
    signal: bool,
    /// A caller waits for the commit.
    awaited: bool,
}

impl<C: Committed> Writer<C> {
    pub(crate) fn new(connection: SqliteConnection, queues: Arc<Queues<Tx>>, committed: C) -> Self {
        Self {
            tx: Tx::new(Connection::Sqlite(connection)),
            queues,
            committed,
        }
    }

    /// Serves until the queues are closed and empty. A group is what waited during the last commit; it lingers only while
    /// no caller waits for its commit.
    pub(crate) fn run(mut self) {
        let _abandon = AbandonOnExit(Arc::clone(&self.queues));
        while let Some(task) = self.queues.wait() {
            match task {
                Task::Job(queue, job, place) => self.run_group(queue, job, place),
                Task::TruncateLog(reply) => {
                    let _ = reply.send(self.sqlite().and_then(|connection| connection.truncate_log()));
                }
            }
        }
    }

    fn run_group(&mut self, queue: Queue, first: Box<dyn Job<Tx>>, place: OwnedSemaphorePermit) {
        let started = Instant::now();
        if let Err(error) = self.control("begin immediate") {
            return first.settle(Err(error));
        }
        let mut group = Group::default();
        let mut next = Some(Task::Job(queue, first, place));
        while let Some(Task::Job(queue, job, place)) = next {
            group.signal |= queue == Queue::SignalState;
            group.awaited |= job.waits_for_commit();
            group.places.push(place);
            if let Err(lost) = self.run_one(job, &mut group) {
                return self.give_up(group, &lost);
            }
            next = if !group.may_grow(started) {
                None
            } else if group.awaited {
                self.queues.try_next_job()
            } else {
                self.queues.next_job_until(started + APPLIED_LINGER)
            };
        }
        self.commit(group);
    }

    /// Runs one unit and adds it to the group. An error means that the whole transaction is gone.
    fn run_one(&mut self, mut job: Box<dyn Job<Tx>>, group: &mut Group) -> Result<(), StorageError> {
        let outcome = self.in_savepoint(&mut *job, group);
        if outcome.is_ok() {
            job.applied();
        }
        group.jobs.push(job);
        outcome
    }

    fn in_savepoint(&mut self, job: &mut dyn Job<Tx>, group: &mut Group) -> Result<(), StorageError> {
        self.sqlite()?.execute("savepoint unit", &[])?;
        let ran = job.run(&mut self.tx);
        let notes = self.tx.take_notes();
        if !self.sqlite()?.in_transaction() {
            // SQLite gave the transaction up (disk full, I/O error): nobody's work is left.
            return Err(ran.err().unwrap_or_else(transaction_lost));
        }
        match ran {
            Ok(()) => group.notes.absorb(notes),
            Err(_) => drop(self.sqlite()?.execute("rollback to unit", &[])?),
        }
        self.sqlite()?.execute("release unit", &[]).map(drop)
    }

    fn commit(&mut self, mut group: Group) {
        if let Err(error) = self.control("commit") {
            return self.give_up(group, &commit_failed(error));
        }
        // Before the callers go on: a key that one of them shredded must be out of memory by then.
        self.committed.committed(std::mem::take(&mut group.notes));
        for job in group.jobs {
            job.settle(Ok(()));
        }
    }

    /// Nothing of the group is kept, and each of its callers hears why.
    fn give_up(&mut self, group: Group, error: &StorageError) {
        if self.sqlite().is_ok_and(|connection| connection.in_transaction())
            && let Err(error) = self.control("rollback")
        {
            tracing::error!(error = %error, "a failed group could not be rolled back");
        }
        for job in group.jobs {
            job.settle(Err(error.clone()));
        }
    }

    fn control(&mut self, sql: &'static str) -> Result<(), StorageError> {
        self.sqlite()?.execute(sql, &[]).map(drop)
    }

    fn sqlite(&mut self) -> Result<&mut SqliteConnection, StorageError> {
        match self.tx.connection() {
            Connection::Sqlite(connection) => Ok(connection),
            // This thread was given a file.
            Connection::Postgres(_) => Err(StorageError::Closed),
        }
    }
}

/// However this thread ends, nobody waits for it any more.
struct AbandonOnExit(Arc<Queues<Tx>>);

impl Drop for AbandonOnExit {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Group {
    fn may_grow(&self, started: Instant) -> bool {
        self.jobs.len() < GROUP && !(self.signal && started.elapsed() >= SIGNAL_LINGER)
    }
}

/// A constraint that is checked at the commit is one unit's fault; to the others it would be a riddle.
fn commit_failed(error: StorageError) -> StorageError {
    match error {
        StorageError::Conflict { .. } | StorageError::NotFound(_) => StorageError::Internal(Arc::new(error)),
        other => other,
    }
}

/// For a unit that saw the failure and hid it.
fn transaction_lost() -> StorageError {
    StorageError::Internal(Arc::from(Box::<dyn Error + Send + Sync>::from(
        "the database ended the transaction",
    )))
}
