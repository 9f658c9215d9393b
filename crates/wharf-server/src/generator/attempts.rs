//! The attempts that run: found by an id that only their own page knows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use wharf_model::Random;
use wharf_vault::destination::Receipt;

use super::step::{Handover, Step};

/// Bytes of an id: nobody guesses one.
const ID: usize = 16;

/// One attempt, as its page sees it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: String,
    /// Where it is; everybody who watches is a receiver.
    pub(super) step: watch::Sender<Step>,
    /// Cancelled when its page gives it up.
    pub(super) given_up: CancellationToken,
    /// Nobody watches it: it was begun by a call, and its string goes to the account's own chat alone.
    pub(super) unattended: bool,
    handover: Mutex<Option<Handover>>,
    /// Of the string, where it is kept.
    receipt: Mutex<Option<Receipt>>,
}

impl Attempt {
    /// Takes the string: there is none a second time.
    pub(super) fn take(&self) -> Option<Handover> {
        lock(&self.handover).take()
    }

    pub(super) fn put(&self, handover: Handover) {
        *lock(&self.handover) = Some(handover);
    }

    pub(super) fn take_receipt(&self) -> Option<Receipt> {
        lock(&self.receipt).take()
    }

    pub(super) fn put_receipt(&self, receipt: Receipt) {
        *lock(&self.receipt) = Some(receipt);
    }

    pub(super) fn is_taken(&self) -> bool {
        lock(&self.handover).is_none()
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Attempts {
    running: Mutex<HashMap<String, Arc<Attempt>>>,
    places: Arc<Semaphore>,
}

/// An attempt's place among those that run; free again when it is dropped.
pub(super) type Place = tokio::sync::OwnedSemaphorePermit;

impl Attempts {
    pub(super) fn new(places: usize) -> Self {
        Self {
            running: Mutex::default(),
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// A new attempt; `None` when all places are taken.
    pub(super) fn begin(&self, random: &dyn Random, unattended: bool) -> Option<(Arc<Attempt>, Place)> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let mut id = [0; ID];
        random.fill(&mut id);
        let attempt = Arc::new(Attempt {
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            step: watch::Sender::new(Step::Connecting),
            given_up: CancellationToken::new(),
            unattended,
            handover: Mutex::default(),
            receipt: Mutex::default(),
        });
        lock(&self.running).insert(attempt.id.clone(), Arc::clone(&attempt));
        Some((attempt, place))
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Attempt>> {
        lock(&self.running).get(id).cloned()
    }

    pub(super) fn end(&self, attempt: &Attempt) {
        lock(&self.running).remove(&attempt.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
