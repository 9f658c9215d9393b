//! The connections that units of work and reads run on. Promises: at most as many as configured; signal state finds
//! one however many other units there are; a connection that broke, or that was made under an earlier tenure, is never
//! used again.
//!
//! A pool of our own and not a library's, because of the second and the third promise: signal state may use every
//! connection and all others leave some of them to it, and connections end with the tenure that they were made in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::SimpleQueryMessage;

use super::address::Address;
use super::tenure::{SETTINGS, Standing, Tenure, enrol};
use crate::config::{Durability, StorageConfig};
use crate::driver::postgres::{PgConnection, from_postgres};
use crate::error::StorageError;

/// How long a unit waits for a database that is away before it fails. A restart of the server that is quicker than this
/// is not noticed by anybody.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a refused connection is tried again within that time.
const AGAIN: Duration = Duration::from_millis(50);

/// Who asks for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    SignalState,
    Normal,
    Read,
}

#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    settings: String,
    answer_within: Duration,
    standing: Arc<Standing>,
    idle: Mutex<Vec<(Tenure, Box<PgConnection>)>>,
    /// All connections, and those of them that are not kept for signal state.
    all: Semaphore,
    common: Semaphore,
    waiting: [AtomicUsize; 3],
}

/// A connection that is in use, and the places that it fills.
pub(crate) struct Lease<'a> {
    pub(crate) connection: Box<PgConnection>,
    pub(crate) tenure: Tenure,
    _all: SemaphorePermit<'a>,
    _common: Option<SemaphorePermit<'a>>,
}

/// The database is away, in a word of our own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Away(pub(crate) &'static str);

pub(crate) fn away(why: &'static str) -> StorageError {
    StorageError::Unavailable(Arc::new(Away(why)))
}

impl Pool {
    pub(crate) fn new(config: &StorageConfig, address: Address, standing: Arc<Standing>) -> Self {
        let size = config.connections.clamp(2, 1000);
        let commit = match config.durability {
            Durability::Power => "on",
            Durability::Process => "off",
        };
        Self {
            address,
            settings: format!(
                "{SETTINGS}; set synchronous_commit = {commit}; set lock_timeout = 10000; set statement_timeout = 30000;
                 set idle_in_transaction_session_timeout = 30000"
            ),
            answer_within: config.answer_within,
            standing,
            idle: Mutex::default(),
            all: Semaphore::new(size),
            common: Semaphore::new(size - reserved(size)),
            waiting: Default::default(),
        }
    }

    /// How many units that are not of signal state run at once.
    #[cfg(feature = "conformance")]
    pub(crate) fn width(size: usize) -> usize {
        let size = size.clamp(2, 1000);
        size - reserved(size)
    }

    /// How many wait for a connection.
    pub(crate) fn waiting(&self, purpose: Purpose) -> usize {
        self.waiting[purpose as usize].load(Ordering::Relaxed)
    }

    /// A connection under the tenure of now.
    pub(crate) async fn lease(&self, purpose: Purpose) -> Result<Lease<'_>, StorageError> {
        let (all, common) = {
            let _counted = Counted::in_(&self.waiting[purpose as usize]);
            tokio::select! {
                biased;
                places = self.places(purpose) => places?,
                () = self.long_lost() => return Err(away("the database is not there, or not ours")),
            }
        };
        let found = tokio::time::timeout(PATIENCE, self.connection()).await;
        let (tenure, connection) = found.map_err(|_| away("the database cannot be reached"))??;
        Ok(Lease {
            connection,
            tenure,
            _all: all,
            _common: common,
        })
    }

    /// Keeps a connection for the next unit, if it is still good. It must not be in a transaction.
    pub(crate) fn give_back(&self, tenure: Tenure, connection: Box<PgConnection>) {
        if !connection.is_closed() && self.is_now(tenure) {
            self.idle().push((tenure, connection));
        }
    }

    pub(crate) fn is_now(&self, tenure: Tenure) -> bool {
        self.standing.now() == Some(tenure)
    }

    /// Resolves once the tenure is over.
    pub(crate) async fn over(&self, tenure: Tenure) {
        // The sender is ours: waiting ends with the change and in no other way.
        let _ = self.standing.watch().wait_for(|now| *now != Some(tenure)).await;
    }

    /// Closes every idle connection.
    pub(crate) fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    async fn places(
        &self,
        purpose: Purpose,
    ) -> Result<(SemaphorePermit<'_>, Option<SemaphorePermit<'_>>), StorageError> {
        let common = match purpose {
            Purpose::SignalState => None,
            Purpose::Normal | Purpose::Read => Some(self.common.acquire().await.map_err(|_| StorageError::Closed)?),
        };
        let all = self.all.acquire().await.map_err(|_| StorageError::Closed)?;
        Ok((all, common))
    }

    /// Resolves when the database has been away for longer than a unit waits.
    async fn long_lost(&self) {
        let mut tenure = self.standing.watch();
        loop {
            let _ = tenure.wait_for(Option::is_none).await;
            if tokio::time::timeout(PATIENCE, tenure.wait_for(Option::is_some))
                .await
                .is_err()
            {
                return;
            }
        }
    }

    async fn connection(&self) -> Result<(Tenure, Box<PgConnection>), StorageError> {
        let mut standing = self.standing.watch();
        loop {
            let held = standing
                .wait_for(Option::is_some)
                .await
                .map_err(|_| StorageError::Closed)?
                .to_owned();
            let Some(tenure) = held else { continue };
            if let Some(connection) = self.take_idle(tenure) {
                return Ok((tenure, connection));
            }
            match self.connect(tenure).await {
                Ok(connection) => return Ok((tenure, connection)),
                Err(StorageError::Unavailable(cause)) => {
                    tracing::debug!(error = %cause, "a connection to the database was refused");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn take_idle(&self, tenure: Tenure) -> Option<Box<PgConnection>> {
        let mut idle = self.idle();
        let mut old = Vec::new();
        while let Some((of, connection)) = idle.pop() {
            if of == tenure && !connection.is_closed() {
                return Some(connection);
            }
            old.push(connection);
        }
        None
    }

    async fn connect(&self, tenure: Tenure) -> Result<Box<PgConnection>, StorageError> {
        let (client, driver) = self.address.connect().await.map_err(from_postgres)?;
        tokio::spawn(driver.drive(None));
        let text = format!("{}; {}", self.settings, enrol(tenure));
        let answers = client.simple_query(&text).await.map_err(from_postgres)?;
        let rows = answers
            .iter()
            .filter(|answer| matches!(answer, SimpleQueryMessage::Row(_)));
        // One row of the shared lock, one of the owner's.
        if rows.count() == 2 {
            Ok(Box::new(PgConnection::new(client, self.answer_within)))
        } else {
            Err(away("the owner's lock is not ours any more"))
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Tenure, Box<PgConnection>)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of the connections are for signal state alone.
fn reserved(size: usize) -> usize {
    (size / 4).clamp(1, 8)
}

/// Counts while it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn in_(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
