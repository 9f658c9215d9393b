//! Short reads on the caller's own thread: to hand one to a reader thread and its answer back costs more than the read.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;

use super::job::poll_once;
use super::reader::Snapshots;
use super::tx::ReadTx;
use crate::error::StorageError;

/// Connections that cannot write, each lent to one caller at a time.
pub(crate) struct Glances {
    shelf: Mutex<Shelf>,
    returned: Condvar,
}

struct Shelf {
    free: Vec<Snapshots>,
    lent: usize,
}

impl Glances {
    pub(crate) fn new(connections: Vec<Snapshots>) -> Self {
        Self {
            shelf: Mutex::new(Shelf {
                free: connections,
                lent: 0,
            }),
            returned: Condvar::new(),
        }
    }

    /// Runs a closure on a snapshot, here and now. Gives the closure back when every connection is lent.
    pub(crate) fn read<T, F>(&self, work: F) -> Result<Result<T, StorageError>, F>
    where
        F: for<'a> FnOnce(&'a mut ReadTx) -> BoxFuture<'a, Result<T, StorageError>>,
    {
        let Some(mut snapshots) = self.lend() else {
            return Err(work);
        };
        // Nothing unwinds from here: a panic of the closure is caught where it is polled.
        let found = snapshots.within(|tx| poll_once(work, tx)).and_then(|found| found);
        self.take_back(snapshots);
        Ok(found)
    }

    fn lend(&self) -> Option<Snapshots> {
        let mut shelf = self.lock();
        let snapshots = shelf.free.pop()?;
        shelf.lent += 1;
        Some(snapshots)
    }

    fn take_back(&self, snapshots: Snapshots) {
        let mut shelf = self.lock();
        shelf.free.push(snapshots);
        shelf.lent -= 1;
        drop(shelf);
        self.returned.notify_all();
    }

    /// Closes the connections, those that are lent too: nothing is lent for long. Later callers find none.
    pub(crate) fn close(&self) {
        let mut shelf = self.lock();
        while shelf.lent > 0 {
            shelf = self.returned.wait(shelf).unwrap_or_else(PoisonError::into_inner);
        }
        shelf.free.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
