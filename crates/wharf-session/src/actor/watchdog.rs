//! Looks at whether a connection really lives: an open socket proves nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::Actor;
use super::orders::DEAF;
use crate::telemetry;

impl Actor {
    /// Looks at the age of the last frame. The engine's keep-alive makes the server answer every half minute.
    pub(super) async fn watch(&mut self) {
        let Some(link) = self.link.as_ref().filter(|_| self.is_ready()) else {
            return;
        };
        let limit = self.cx.config.deaf_after;
        let age = link.last_frame_age().unwrap_or_default();
        if age >= limit {
            self.close_deaf("frames", age).await;
        } else {
            self.watch_at = Some(Instant::now() + (limit - age));
        }
    }

    /// Closes a connection that does not answer; the next one follows with the usual backoff.
    pub(super) async fn close_deaf(&mut self, cause: &'static str, silent: Duration) {
        telemetry::watchdog(cause);
        tracing::warn!(
            session.id = %self.slot.session,
            watchdog.cause = cause,
            watchdog.silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX),
            "The connection does not answer; it is closed and opened again"
        );
        if let Some(link) = self.link.take() {
            link.shut().await;
        }
        self.outbox.disconnected();
        self.feed_closed(DEAF, None).await;
    }
}
