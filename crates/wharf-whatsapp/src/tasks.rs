//! The engine's own tasks. It starts some that sleep for minutes and hold all of their client meanwhile: that its app state
//! came within three, that a code which was typed linked within one. A client that is gone must not stay in memory for them.

use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wacore::runtime::AbortHandle;
use whatsapp_rust::{Runtime, TokioRuntime};

/// How long tasks may go on when their client is gone: what they are writing is written by then.
const GRACE: Duration = Duration::from_secs(5);

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Where an engine's tasks run. They end soon after [`EngineTasks::end`].
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineTasks {
    over: CancellationToken,
}

impl EngineTasks {
    /// The client is gone.
    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    fn limited(&self, task: Task) -> impl Future<Output = ()> + Send + 'static {
        let over = self.over.clone();
        async move {
            let cut = async {
                over.cancelled().await;
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                biased;
                () = task => {}
                () = cut => {}
            }
        }
    }
}

impl Runtime for EngineTasks {
    fn spawn(&self, task: Task) -> AbortHandle {
        let handle = tokio::spawn(self.limited(task));
        AbortHandle::new(move || handle.abort())
    }

    fn spawn_detached(&self, task: Task) {
        tokio::spawn(self.limited(task));
    }

    fn sleep(&self, duration: Duration) -> Task {
        TokioRuntime.sleep(duration)
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> Task {
        TokioRuntime.spawn_blocking(work)
    }

    fn yield_now(&self) -> Option<Task> {
        TokioRuntime.yield_now()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A task that holds its client and sleeps for a day.
    fn sleeper(tasks: &EngineTasks) -> std::sync::Weak<()> {
        let client = Arc::new(());
        let held = Arc::downgrade(&client);
        tasks.spawn_detached(Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(24 * 60 * 60)).await;
            drop(client);
        }));
        held
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleeping_task_lets_its_client_go_when_that_is_over() {
        let tasks = EngineTasks::default();
        let client = sleeper(&tasks);
        tokio::time::sleep(GRACE * 2).await;
        assert!(client.upgrade().is_some());
        tasks.end();
        tokio::time::sleep(GRACE / 2).await;
        assert!(client.upgrade().is_some(), "what it writes gets a moment");
        tokio::time::sleep(GRACE).await;
        assert!(client.upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_can_be_aborted_is() {
        let tasks = EngineTasks::default();
        let client = Arc::new(());
        let held = Arc::downgrade(&client);
        let handle = tasks.spawn(Box::pin(async move {
            std::future::pending::<()>().await;
            drop(client);
        }));
        drop(handle);
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(held.upgrade().is_none());
    }
}
