//! Reads on connections that cannot write; every closure gets one snapshot. Reader threads serve the long ones.

use std::sync::Arc;

use super::queue::{Queues, Task};
use super::tx::ReadTx;
use crate::driver::Connection;
use crate::driver::sqlite::SqliteConnection;
use crate::error::StorageError;

/// A connection that gives one snapshot after the other.
pub(crate) struct Snapshots {
    tx: ReadTx,
}

impl Snapshots {
    pub(crate) fn new(connection: SqliteConnection) -> Self {
        Self {
            tx: ReadTx::new(Connection::Sqlite(connection)),
        }
    }

    /// Runs `read` on a snapshot of its own. An error says that there was none.
    pub(crate) fn within<R>(&mut self, read: impl FnOnce(&mut ReadTx) -> R) -> Result<R, StorageError> {
        self.control("begin")?;
        let found = read(&mut self.tx);
        // A read stands on its snapshot: what it found is true even if ending the snapshot failed.
        if let Err(error) = self.control("rollback") {
            tracing::error!(error = %error, "a read could not be ended");
        }
        Ok(found)
    }

    fn control(&mut self, sql: &'static str) -> Result<(), StorageError> {
        match self.tx.connection() {
            Connection::Sqlite(connection) => connection.execute(sql, &[]).map(drop),
            // This is of a file.
            Connection::Postgres(_) => Err(StorageError::Closed),
        }
    }
}

/// A thread of reads.
pub(crate) struct Reader {
    snapshots: Snapshots,
    queues: Arc<Queues<ReadTx>>,
}

impl Reader {
    pub(crate) fn new(snapshots: Snapshots, queues: Arc<Queues<ReadTx>>) -> Self {
        Self { snapshots, queues }
    }

    /// Serves until the queues are closed and empty.
    pub(crate) fn run(mut self) {
        while let Some(task) = self.queues.wait() {
            // Readers are never asked to truncate; dropping the reply would tell the asker that storage is closed.
            let Task::Job(_, mut job, _place) = task else { continue };
            // The error of a read is its caller's alone; there is nothing to roll back.
            let ran = self.snapshots.within(|tx| drop(job.run(tx)));
            job.settle(ran);
        }
    }
}
