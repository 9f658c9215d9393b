//! Two bounded queues in front of a thread: urgent first, then the rest. Callers wait without a thread of their own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Queue;
use super::job::Job;
use crate::error::StorageError;

/// What a thread takes from its queues.
pub(crate) enum Task<X> {
    /// A closure, and the place in the queue that it frees once it has been answered.
    Job(Queue, Box<dyn Job<X>>, OwnedSemaphorePermit),
    /// Cut the write-ahead log; runs between groups, because no transaction may be open.
    TruncateLog(oneshot::Sender<Result<(), StorageError>>),
}

pub(crate) struct Queues<X> {
    waiting: Mutex<Waiting<X>>,
    wake: Condvar,
    normal: Arc<Semaphore>,
    signal: Arc<Semaphore>,
}

struct Waiting<X> {
    normal: VecDeque<Task<X>>,
    signal: VecDeque<Task<X>>,
    closed: bool,
}

impl<X> Waiting<X> {
    fn next(&mut self) -> Option<Task<X>> {
        self.signal.pop_front().or_else(|| self.normal.pop_front())
    }

    fn is_empty(&self) -> bool {
        self.signal.is_empty() && self.normal.is_empty()
    }

    fn next_is_job(&self) -> bool {
        matches!(self.signal.front().or_else(|| self.normal.front()), Some(Task::Job(..)))
    }
}

impl<X> Queues<X> {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            waiting: Mutex::new(Waiting {
                normal: VecDeque::new(),
                signal: VecDeque::new(),
                closed: false,
            }),
            wake: Condvar::new(),
            normal: Arc::new(Semaphore::new(capacity)),
            signal: Arc::new(Semaphore::new(capacity)),
        }
    }

    /// Queues a job, waiting for room first. Before there is room the job can still be abandoned; after, it runs.
    pub(crate) async fn push(&self, queue: Queue, job: Box<dyn Job<X>>) -> Result<(), StorageError> {
        let room = match queue {
            Queue::Normal => &self.normal,
            Queue::SignalState => &self.signal,
        };
        let permit = Arc::clone(room)
            .acquire_owned()
            .await
            .map_err(|_| StorageError::Closed)?;
        self.enqueue(queue, Task::Job(queue, job, permit))
    }

    /// Queues a truncation of the log behind everything that waits.
    pub(crate) fn push_truncation(&self, reply: oneshot::Sender<Result<(), StorageError>>) -> Result<(), StorageError> {
        self.enqueue(Queue::Normal, Task::TruncateLog(reply))
    }

    fn enqueue(&self, queue: Queue, task: Task<X>) -> Result<(), StorageError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StorageError::Closed);
        }
        match queue {
            Queue::Normal => waiting.normal.push_back(task),
            Queue::SignalState => waiting.signal.push_back(task),
        }
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    /// The next task, waiting for one; `None` once the queues are closed and empty.
    pub(crate) fn wait(&self) -> Option<Task<X>> {
        let mut waiting = self.lock();
        loop {
            if let Some(task) = waiting.next() {
                return Some(task);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next task if it is a job; waits for one until `deadline`.
    pub(crate) fn next_job_until(&self, deadline: Instant) -> Option<Task<X>> {
        let mut waiting = self.lock();
        while waiting.is_empty() && !waiting.closed {
            let left = deadline.checked_duration_since(Instant::now())?;
            waiting = match self.wake.wait_timeout(waiting, left) {
                Ok((waiting, _)) => waiting,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        if waiting.next_is_job() { waiting.next() } else { None }
    }

    /// The next task if one waits and it is a job.
    pub(crate) fn try_next_job(&self) -> Option<Task<X>> {
        let mut waiting = self.lock();
        if waiting.next_is_job() { waiting.next() } else { None }
    }

    /// How many wait: signal state, then the rest.
    pub(crate) fn depths(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.signal.len(), waiting.normal.len())
    }

    /// Takes nothing more. What waits already is still served.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.normal.close();
        self.signal.close();
        self.wake.notify_all();
    }

    /// Takes nothing more and gives up what waits; its callers hear that storage is closed.
    pub(crate) fn abandon(&self) {
        self.close();
        let mut waiting = self.lock();
        let abandoned = (std::mem::take(&mut waiting.signal), std::mem::take(&mut waiting.normal));
        // Closures may hold anything, this very storage included: they are dropped outside the lock.
        drop(waiting);
        drop(abandoned);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<X>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
