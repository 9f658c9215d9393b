//! The feed of change notices, so that a page can refresh what it shows instead of asking all the time.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use tokio_stream::wrappers::BroadcastStream;

use crate::sandbox::Sandbox;

/// What changes, as it changes
///
/// Events are named `change` and carry `{phone, change, chat?}`; `missed` says that some were lost.
#[utoipa::path(get, path = "/sandbox/api/events", tag = "Network",
    responses((status = 200, description = "Server-sent events `change` with `{phone, change, chat?}`; `missed` when some were lost", body = String, content_type = "text/event-stream")))]
pub(super) async fn stream(State(sandbox): State<Sandbox>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = BroadcastStream::new(sandbox.changes()).map(|notice| {
        let event = match notice {
            Ok(change) => Event::default().event("change").json_data(&change),
            Err(_lagged) => Ok(Event::default().event("missed").data("{}")),
        };
        Ok(event.unwrap_or_default())
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}
