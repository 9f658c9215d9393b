//! Server-sent events: framing, keep-alive, and the end when the server stops.

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http::{HeaderName, HeaderValue};

use crate::state::ApiState;

/// Its media type.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// Tells proxies to pass events on at once.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A stream as an answer. Quiet times are filled with comments, so that nobody in between takes it for dead.
pub(crate) fn response<S>(state: &ApiState, events: S) -> Response
where
    S: Stream<Item = Result<Event, axum::Error>> + Send + 'static,
{
    let stop = state.shutdown.clone();
    let events = events.take_until(async move { stop.cancelled().await });
    let keep_alive = KeepAlive::new()
        .interval(state.config.stream_keep_alive())
        .text("keep-alive");
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    response
        .headers_mut()
        .insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}
