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

    /// Answers the caller. `commit` is what became of the transaction; the job's own error goes first.
    fn settle(self: Box<Self>, commit: Result<(), StorageError>);
}

/// The closure and its answer.
pub(crate) struct Work<F, T> {
    closure: Option<F>,
    result: Result<T, StorageError>,
    reply: oneshot::Sender<Result<T, StorageError>>,
}

impl<F, T> Work<F, T> {
    pub(crate) fn new(closure: F) -> (Self, oneshot::Receiver<Result<T, StorageError>>) {
        let (reply, answer) = oneshot::channel();
        (
            Self {
                closure: Some(closure),
                result: Err(StorageError::Closed),
                reply,
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

    fn settle(self: Box<Self>, commit: Result<(), StorageError>) {
        let Self { result, reply, .. } = *self;
        let answer = result.and_then(|value| commit.map(|()| value));
        // A caller that went away has no use for the answer; its unit stands all the same. The answer is dropped here
        // then, and should that panic, it is not the writer's end.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(reply.send(answer))));
    }
}

/// Runs the closure to its end in one poll, and turns a panic into an error.
fn poll_once<X, F, T>(closure: F, tx: &mut X) -> Result<T, StorageError>
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
