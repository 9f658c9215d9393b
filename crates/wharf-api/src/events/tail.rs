//! Reads the log behind a cursor, and waits for more.

use std::time::{Duration, Instant};

use axum::response::sse::Event;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, Stream};
use tokio::sync::watch;
use wharf_model::WorkspaceId;
use wharf_storage::events::{self, EventFilter, EventPage, LoggedEvent};
use wharf_storage::{Cursor, ReadTx, StorageError};

use super::body::EventBody;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::ApiState;

/// How many events one read of a stream takes.
const BATCH: u32 = 100;
/// How long a stream goes on before it asks whether its key is still good. Also how long a lost wake-up can last.
const RECHECK: Duration = Duration::from_secs(5);

/// Where to start.
#[derive(Debug)]
pub(super) enum Start {
    /// At the oldest event that is kept.
    Oldest,
    /// Behind this place.
    Behind(Cursor),
    /// With the next event.
    Now,
}

/// A reader of the log.
#[derive(Debug)]
pub(super) struct Tail {
    state: ApiState,
    caller: Caller,
    filter: EventFilter,
    after: Option<Cursor>,
    changes: watch::Receiver<u64>,
    /// The last read came to the end of the log: the next one finds a few rows, or none.
    caught_up: bool,
    checked: Instant,
}

impl Tail {
    /// A reader; a cursor that is none of this log is refused here, before anything is answered.
    pub(super) async fn new(
        state: ApiState,
        caller: Caller,
        start: Start,
        filter: EventFilter,
    ) -> Result<Self, ApiError> {
        let workspace = caller.workspace();
        let after = match start {
            Start::Oldest => None,
            Start::Now => Some(
                state
                    .storage
                    .read(move |tx| Box::pin(events::end(tx, workspace)))
                    .await?,
            ),
            Start::Behind(cursor) => Some(cursor),
        };
        let tail = Self {
            changes: state.storage.changes(),
            caught_up: false,
            checked: Instant::now(),
            state,
            caller,
            filter,
            after,
        };
        tail.read(1).await?;
        Ok(tail)
    }

    /// Where to read on.
    pub(super) fn cursor(&self) -> String {
        self.after.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// At most `limit` events; moves on behind them.
    pub(super) async fn page(&mut self, limit: u32) -> Result<Vec<EventBody>, ApiError> {
        let page = self.read(limit).await?;
        self.advance(page).await
    }

    async fn read(&self, limit: u32) -> Result<EventPage, ApiError> {
        let (workspace, after, filter) = (self.caller.workspace(), self.after.clone(), self.filter.clone());
        let (storage, page) = (&self.state.storage, page_behind(workspace, after, filter, limit));
        Ok(if self.caught_up {
            storage.glance(page).await?
        } else {
            storage.read(page).await?
        })
    }

    async fn advance(&mut self, page: EventPage) -> Result<Vec<EventBody>, ApiError> {
        let mut bodies = Vec::with_capacity(page.events.len());
        for logged in page.events {
            if self.may_see(&logged) {
                bodies.push(EventBody::open(&self.state, logged).await?);
            }
        }
        self.after = Some(page.cursor);
        self.caught_up = page.caught_up;
        Ok(bodies)
    }

    /// A key that is limited to sessions sees their events and no others.
    fn may_see(&self, logged: &LoggedEvent) -> bool {
        match logged.event.session_id {
            Some(session) => self.caller.sees(session),
            None => self.caller.require_unrestricted().is_ok(),
        }
    }

    /// The log as a stream without end. It ends when the server stops, when the key is no longer good, and when
    /// storage fails; a client resumes where it was.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Event, axum::Error>> + Send + use<> {
        // An id without data tells a client where it stands before anything has happened; it dispatches no event.
        let place = stream::once(std::future::ready(Ok(Event::default().id(self.cursor()))));
        let batches = stream::unfold(self, |mut tail| async move {
            let batch = tail.next_batch().await?;
            Some((stream::iter(batch).map(|event| frame(&event)), tail))
        });
        place.chain(batches.flatten())
    }

    async fn next_batch(&mut self) -> Option<Vec<EventBody>> {
        loop {
            // Seen before the read: a commit during it wakes the wait below.
            self.changes.borrow_and_update();
            if !self.still_allowed().await {
                return None;
            }
            let page = self.read(BATCH).await.inspect_err(log_end).ok()?;
            let caught_up = page.caught_up;
            let batch = self.advance(page).await.inspect_err(log_end).ok()?;
            if !batch.is_empty() {
                return Some(batch);
            }
            if caught_up && !self.wait().await {
                return None;
            }
        }
    }

    /// Waits for a commit or for the next check. False when storage is gone.
    async fn wait(&mut self) -> bool {
        match tokio::time::timeout(RECHECK, self.changes.changed()).await {
            Ok(changed) => changed.is_ok(),
            Err(_) => true,
        }
    }

    async fn still_allowed(&mut self) -> bool {
        if self.checked.elapsed() < RECHECK {
            return true;
        }
        self.checked = Instant::now();
        self.state
            .authenticator
            .is_valid(&self.caller)
            .await
            .inspect_err(log_end)
            .unwrap_or(false)
    }
}

fn page_behind(
    workspace: WorkspaceId,
    after: Option<Cursor>,
    filter: EventFilter,
    limit: u32,
) -> impl for<'a> FnOnce(&'a mut ReadTx) -> BoxFuture<'a, Result<EventPage, StorageError>> + Send + 'static {
    move |tx| Box::pin(async move { events::read(tx, workspace, after.as_ref(), &filter, limit).await })
}

fn log_end(error: &ApiError) {
    tracing::warn!(error.cause = ?error, "an event stream ends early; its client resumes");
}

fn frame(event: &EventBody) -> Result<Event, axum::Error> {
    Event::default().id(event.seq()).event(event.kind()).json_data(event)
}
