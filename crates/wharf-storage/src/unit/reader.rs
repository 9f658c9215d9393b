//! Reader threads: each owns a connection that cannot write, and gives every closure one snapshot.

use std::sync::Arc;

use super::queue::{Queues, Task};
use super::tx::ReadTx;
use crate::driver::Connection;
use crate::driver::sqlite::SqliteConnection;
use crate::error::StorageError;

pub(crate) struct Reader {
    tx: ReadTx,
    queues: Arc<Queues<ReadTx>>,
}

impl Reader {
    pub(crate) fn new(connection: SqliteConnection, queues: Arc<Queues<ReadTx>>) -> Self {
        Self {
            tx: ReadTx::new(Connection::Sqlite(connection)),
            queues,
        }
    }

    /// Serves until the queues are closed and empty.
    pub(crate) fn run(mut self) {
        while let Some(task) = self.queues.wait() {
            // Readers are never asked to truncate; dropping the reply would tell the asker that storage is closed.
            let Task::Job(_, mut job, _place) = task else { continue };
            if let Err(error) = self.control("begin") {
                job.settle(Err(error));
                continue;
            }
            // The error of a read is its caller's alone; there is nothing to roll back.
            let _ = job.run(&mut self.tx);
            let ended = self.control("rollback");
            // A read stands on its snapshot: what it found is true even if ending the snapshot failed.
            job.settle(Ok(()));
            if let Err(error) = ended {
                tracing::error!(error = %error, "a read could not be ended");
            }
        }
    }

    fn control(&mut self, sql: &'static str) -> Result<(), StorageError> {
        match self.tx.connection() {
            Connection::Sqlite(connection) => connection.execute(sql, &[]).map(drop),
            // This thread was given a file.
            Connection::Postgres(_) => Err(StorageError::Closed),
        }
    }
}
