//! The graceful end: nothing new is sent, what is on the wire gets a moment for its ack, the client flushes.

use tokio::time::Instant;
use wharf_model::{CloseReason, SessionState};

use super::{Actor, happened};

impl Actor {
    /// Ends. A message without an ack stays `sending` in its row and is sent again at the next start.
    pub(super) async fn drain(&mut self) {
        let until = Instant::now() + self.cx.config.drain_timeout;
        while self.is_ready() && !self.outbox.is_idle() {
            let step = async {
                tokio::select! {
                    events = happened(&mut self.link) => Some(events),
                    _ = self.outbox.written() => None,
                }
            };
            match tokio::time::timeout_at(until, step).await {
                Ok(Some(events)) => self.on_events(events).await,
                Ok(None) => {}
                Err(_elapsed) => break,
            }
        }
        let last_words = self.link.as_mut().map(super::link::Link::unread).unwrap_or_default();
        self.on_events(last_words).await;
        self.close().await;
    }

    async fn close(&mut self) {
        self.dialling = None;
        let up = !matches!(
            self.state,
            SessionState::NotStarted | SessionState::AuthFailed { .. } | SessionState::Disconnected { .. }
        );
        // Shut first, so that its last words (acks, receipts) are of the past when the state says so.
        if let Some(link) = self.link.take() {
            link.shut().await;
        }
        self.flush_reports().await;
        if up {
            self.feed_closed(CloseReason::Shutdown, None).await;
        }
        self.save().await;
        if !self.unsaved.is_empty() {
            tracing::error!(session.id = %self.slot.session, "The session's last state could not be stored before the end");
        }
    }
}
