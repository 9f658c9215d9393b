//! The metrics of sessions and messages. Labels are closed sets of names: never a session, a phone or a text.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use wharf_model::{Lane, MessageStatus, SessionState};

/// A session changed its state.
pub(crate) fn state_changed(state: SessionState) {
    let reason = state.reason().map_or("none", |reason| reason.code());
    counter!("wharf_session_state_changes_total", "status" => state.status().as_str(), "reason" => reason).increment(1);
}

/// A link was begun (`started`), made (`linked`) or came to nothing (`failed`).
pub(crate) fn link(result: &'static str) {
    counter!("wharf_session_links_total", "result" => result).increment(1);
}

/// Messages came to a status.
pub(crate) fn messages(status: MessageStatus, count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    counter!("wharf_messages_total", "status" => status.as_str()).increment(count);
}

/// A message was accepted.
pub(crate) fn accepted(lane: Lane) {
    counter!("wharf_messages_accepted_total", "lane" => lane.as_str()).increment(1);
}

/// A message was put on the wire again because no ack came.
pub(crate) fn resent() {
    counter!("wharf_messages_resent_total").increment(1);
}

/// How many messages wait in a lane.
pub(crate) fn queued(lane: Lane, count: u64) {
    #[expect(clippy::cast_precision_loss, reason = "queues are far below 2^52")]
    gauge!("wharf_messages_queued", "lane" => lane.as_str()).set(count as f64);
}

/// The server acknowledged a message.
pub(crate) fn acknowledged(latency: Duration) {
    histogram!("wharf_message_ack_seconds").record(latency.as_secs_f64());
}

/// A message came in that could not be decrypted.
pub(crate) fn undecryptable() {
    counter!("wharf_messages_undecryptable_total").increment(1);
}

/// An actor panicked.
pub(crate) fn crashed() {
    counter!("wharf_session_crashes_total").increment(1);
}

/// The watchdog closed a connection.
pub(crate) fn watchdog(cause: &'static str) {
    counter!("wharf_session_watchdog_total", "cause" => cause).increment(1);
}

/// One actor's share of a gauge that all sessions add up to. Takes its share back when it is dropped, so that an actor
/// that ends, by whatever way, leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Share {
    name: &'static str,
    held: usize,
}

impl Share {
    /// Messages on the wire without an ack.
    pub(crate) const fn in_flight() -> Self {
        Self {
            name: "wharf_messages_in_flight",
            held: 0,
        }
    }

    /// Events of connections that actors have not read yet.
    pub(crate) const fn event_queue() -> Self {
        Self {
            name: "wharf_session_event_queue",
            held: 0,
        }
    }

    /// Sessions that are ready.
    pub(crate) const fn ready() -> Self {
        Self {
            name: "wharf_sessions_ready",
            held: 0,
        }
    }

    /// Sets this actor's share.
    pub(crate) fn set(&mut self, value: usize) {
        #[expect(clippy::cast_precision_loss, reason = "lengths of queues are far below 2^52")]
        gauge!(self.name).increment(value as f64 - self.held as f64);
        self.held = value;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
