//! The actor's hold on one client: the task that serves its connection, and the queue of what happens on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use wharf_model::CloseReason;

use crate::port::{ClientEvent, ClientSetup, WhatsAppClient};
use crate::telemetry::Share;

/// How long a client may take to end after it said that the connection closed, and to flush when it is shut down.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// A client and its connection.
#[derive(Debug)]
pub(crate) struct Link {
    client: Arc<dyn WhatsAppClient>,
    events: mpsc::UnboundedReceiver<ClientEvent>,
    setup: ClientSetup,
    running: Option<JoinHandle<()>>,
    /// Held while dialling, so that a mass start keeps its cap.
    dialling: Option<OwnedSemaphorePermit>,
    queue: Share,
    shut: bool,
}

impl Link {
    pub(crate) fn new(
        client: Arc<dyn WhatsAppClient>,
        events: mpsc::UnboundedReceiver<ClientEvent>,
        setup: ClientSetup,
    ) -> Self {
        Self {
            client,
            events,
            setup,
            running: None,
            dialling: None,
            queue: Share::event_queue(),
            shut: false,
        }
    }

    /// Whether a connection is being made or served.
    pub(crate) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// What the client was built with.
    pub(crate) const fn setup(&self) -> &ClientSetup {
        &self.setup
    }

    /// What was said and not read yet.
    pub(crate) fn unread(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Connects and serves in a task of its own.
    pub(crate) fn start(&mut self, permit: Option<OwnedSemaphorePermit>) {
        let client = Arc::clone(&self.client);
        self.dialling = permit;
        self.running = Some(tokio::spawn(async move { client.run().await }));
    }

    /// The connection is past dialling, or waits for a person: the next session may dial.
    pub(crate) fn dialled(&mut self) {
        self.dialling = None;
    }

    pub(crate) fn client(&self) -> &Arc<dyn WhatsAppClient> {
        &self.client
    }

    pub(crate) fn last_frame_age(&self) -> Option<Duration> {
        self.client.last_frame_age()
    }

    /// Waits for what happens next and takes everything that is there, up to `limit`. A connection that ended without
    /// a word, or by a panic of the engine, is given the word here. Cancelling loses nothing.
    pub(crate) async fn next(&mut self, limit: usize) -> Vec<ClientEvent> {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = self.events.recv_many(&mut batch, limit) => {
                    if count > 0 {
                        self.queue.set(self.events.len());
                        return batch;
                    }
                    // The client dropped its sender; only the end of the task can still tell something.
                    self.ended().await;
                    return vec![unexplained()];
                }
                () = ended(&mut self.running) => {
                    self.running = None;
                    // What the connection said last may still be in the queue.
                    if self.events.is_empty() {
                        return vec![unexplained()];
                    }
                }
            }
        }
    }

    async fn ended(&mut self) {
        ended(&mut self.running).await;
        self.running = None;
    }

    /// After the connection said that it closed: waits until the client can be started again. `false` when it does not
    /// come to an end in time.
    pub(crate) async fn settle(&mut self) -> bool {
        self.dialling = None;
        if self.running.is_none() {
            return true;
        }
        tokio::time::timeout(END_TIMEOUT, self.ended()).await.is_ok()
    }

    /// Ends the client for good. What it still says is of no interest.
    pub(crate) async fn shut(mut self) {
        self.shut = true;
        let end = async {
            self.client.shutdown().await;
            if self.running.is_some() {
                ended(&mut self.running).await;
                self.running = None;
            }
        };
        if tokio::time::timeout(END_TIMEOUT, end).await.is_err() {
            tracing::warn!("A protocol client did not shut down in time and was abandoned");
        }
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

/// An actor that panicked leaves no connection behind: two of one account would replace each other for ever.
impl Drop for Link {
    fn drop(&mut self) {
        if self.shut {
            return;
        }
        if let Some(running) = self.running.take() {
            running.abort();
        }
        let client = Arc::clone(&self.client);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { client.shutdown().await });
        }
    }
}

/// Resolves when the task has ended; never, when there is none.
async fn ended(running: &mut Option<JoinHandle<()>>) {
    match running {
        None => std::future::pending().await,
        Some(task) => {
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!("The protocol engine panicked; the connection is opened again");
            }
        }
    }
}

fn unexplained() -> ClientEvent {
    ClientEvent::Closed {
        reason: CloseReason::EngineStopped,
        detail: None,
    }
}
