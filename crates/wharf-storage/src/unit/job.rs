//! One closure on its way through a queue: run once, polled once, answered after the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::error::StorageError;

/// A job over `X` ([`super::tx::Tx`] or [`super::tx::ReadTx`]) with its types erased.
pub(crate) trait Job<X>: Send {
    /// Runs the closure. An error says that what it wrote is not to be kept, and why; the caller hears the same.
    fn run(&mut self, tx: &mut X) -> Result<(), StorageError>;

    /// Whether its caller waits for the commit.
    fn waits_for_commit(&self) -> bool;

    /// What the closure wrote stands in the transaction. Answers a caller that wants to hear of no more.
    fn applied(&mut self);

    /// Answers the caller. `commit` is what became of the transaction; the job's own error goes first.
    fn settle(self: Box<Self>, commit: Result<(), StorageError>);
}

/// The closure and its answer.
pub(crate) struct Work<F, T> {
    closure: Option<F>,
    result: Result<T, StorageError>,
    reply: Option<oneshot::Sender<Result<T, StorageError>>>,
    until: Until,
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The commit.
    Durable,
    /// The end of the closure: later units see what it wrote.
    Applied,
}

impl<F, T> Work<F, T> {
    pub(crate) fn new(closure: F, until: Until) -> (Self, oneshot::Receiver<Result<T, StorageError>>) {
        let (reply, answer) = oneshot::channel();
        (
            Self {
                closure: Some(closure),
                result: Err(StorageError::Closed),
                reply: Some(reply),
                until,
            },
            answer,
        )
    }
}

impl<X, F, T> Job<X> for Work<F, T>
where
    T: Send,
    F: for<'a> FnOnce(&'a mut X) -> BoxFuture<'a, Result<T, StorageError>> + Send,
{
    fn run(&mut self, tx: &mut X) -> Result<(), StorageError> {
        if let Some(closure) = self.closure.take() {
            self.result = poll_once(closure, tx);
        }
        self.result.as_ref().map(drop).map_err(Clone::clone)
    }

    fn waits_for_commit(&self) -> bool {
        self.until == Until::Durable
    }

    fn applied(&mut self) {
        if self.until == Until::Applied
            && let Some(reply) = self.reply.take()
        {
            send(reply, std::mem::replace(&mut self.result, Err(StorageError::Closed)));
        }
    }

    fn settle(self: Box<Self>, commit: Result<(), StorageError>) {
        let Self { result, reply, .. } = *self;
        match reply {
            Some(reply) => send(reply, result.and_then(|value| commit.map(|()| value))),
            None => {
                if let Err(error) = commit {
                    let cause: &dyn std::error::Error = &error;
                    tracing::error!(
                        error = cause,
                        "what a caller was told is applied could not be committed"
                    );
                }
            }
        }
    }
}

/// A caller that went away has no use for the answer; its unit stands all the same. The answer is dropped here then, and
/// should that panic, it is not the writer's end.
fn send<T>(reply: oneshot::Sender<Result<T, StorageError>>, answer: Result<T, StorageError>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(reply.send(answer))));
}

/// Runs the closure to its end in one poll, and turns a panic into an error.
pub(super) fn poll_once<X, F, T>(closure: F, tx: &mut X) -> Result<T, StorageError>
where
    F: for<'a> FnOnce(&'a mut X) -> BoxFuture<'a, Result<T, StorageError>>,
{
    // Unwind safety: whatever the closure left half done in the transaction is rolled back by the caller of `run`.
    catch_unwind(AssertUnwindSafe(|| {
        let mut future = closure(tx);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(StorageError::AwaitedOutside),
        }
    }))
    .unwrap_or(Err(StorageError::UnitPanicked))
}
