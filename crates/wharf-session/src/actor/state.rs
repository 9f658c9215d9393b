//! Feeding the state machine and performing its effects, in their order.

use std::ops::ControlFlow;

use tokio::time::Instant;
use wharf_model::{CloseReason, Effect, Input, PendingStep, SessionState, SessionStatus, Timestamp};
use wharf_storage::StorageError;
use wharf_storage::sessions::Wanted;

use super::journal::Change;
use super::{Actor, End, SAVE_AGAIN};
use crate::live::Live;
use crate::telemetry;

impl Actor {
    /// Feeds an input and performs what follows. An input that means nothing changes nothing.
    pub(super) async fn feed(&mut self, input: Input, detail: Option<String>) {
        let from = match input {
            Input::Closed { reason, .. } => self.attempts.before_close(self.state, reason),
            _ => self.state,
        };
        match from.on(input) {
            Ok((next, effects)) => self.enter(next, &effects, detail).await,
            Err(invalid) => tracing::debug!(session.id = %self.slot.session, "Passed over: {invalid}"),
        }
    }

    /// The connection ended, or could not be made.
    pub(super) async fn feed_closed(&mut self, reason: CloseReason, detail: Option<String>) {
        let reason = self.attempts.judge(reason);
        let input = Input::Closed {
            reason,
            now: self.cx.clock.now(),
            jitter: self.cx.jitter(),
        };
        self.feed(input, detail).await;
    }

    async fn enter(&mut self, next: SessionState, effects: &[Effect], detail: Option<String>) {
        let before = self.state;
        self.state = next;
        self.attempts.note(next);
        if before.status() != next.status() || effects.contains(&Effect::Announce) && next.reason().is_some() {
            self.since = self.cx.clock.now();
        }
        self.keep_time(before.status());
        if matches!(before, SessionState::Ready) && !matches!(next, SessionState::Ready) {
            self.note_last_seen();
        }
        for effect in effects {
            self.perform(*effect, before, detail.as_deref()).await;
        }
        self.save().await;
        self.publish();
    }

    async fn perform(&mut self, effect: Effect, before: SessionState, detail: Option<&str>) {
        match effect {
            Effect::Dial => self.dial(),
            Effect::Redial => self.redial(),
            Effect::DialAt(at) => self.dial_at = Some(self.instant(at)),
            Effect::HangUp => self.hang_up().await,
            Effect::Unlink => self.unlink().await,
            Effect::Shred => self.shred().await,
            Effect::ShredLater => self.shred_later(),
            Effect::ForgetSecrets => self.forget_secrets(),
            Effect::Announce => self.announce(before.status(), detail),
        }
    }

    fn announce(&mut self, before: SessionStatus, detail: Option<&str>) {
        let at = self.since;
        match self.state {
            SessionState::Pending(step) if before == SessionStatus::Pending => self.announce_step(step),
            _ => self.announce_state(before, at, detail),
        }
    }

    /// The status stays; what a person must do now is another thing.
    fn announce_step(&mut self, step: PendingStep) {
        let at = self.cx.clock.now();
        match step {
            PendingStep::Connecting => {}
            PendingStep::ScanQr { expires_at } => self.unsaved.push_back(Change::Qr { at, expires_at }),
            PendingStep::EnterCode { expires_at } => self.unsaved.push_back(Change::PairingCode { at, expires_at }),
            PendingStep::SignWithPasskey | PendingStep::ConfirmPasskey => {
                self.unsaved.push_back(Change::Passkey { at, step });
            }
        }
    }

    pub(super) fn forget_secrets(&mut self) {
        self.qr = None;
        self.pairing_code = None;
        self.code_at = None;
        self.passkey = None;
    }

    fn announce_state(&mut self, before: SessionStatus, at: Timestamp, detail: Option<&str>) {
        let (session, state) = (self.slot.session, self.state);
        let reason = state.reason().map_or("", CloseReason::code);
        tracing::info!(
            session.id = %session,
            session.status = %state.status(),
            session.reason = reason,
            session.detail = detail.unwrap_or(""),
            "The session is {}",
            state.status()
        );
        telemetry::state_changed(state);
        self.unsaved.push_back(Change::State {
            before,
            state,
            at,
            detail: detail.map(str::to_owned),
        });
        if self.gave_up() {
            let wanted = self.intent.unwrap_or(Wanted::Stopped);
            self.unsaved.push_back(Change::Wanted(wanted));
        }
    }

    /// Whether nothing will happen any more until a person acts. A stop of the process is not that: the next start
    /// goes on.
    const fn gave_up(&self) -> bool {
        match self.state {
            SessionState::NotStarted | SessionState::AuthFailed { .. } => true,
            SessionState::Disconnected {
                reason,
                next_attempt_at,
                ..
            } => next_attempt_at.is_none() && !matches!(reason, CloseReason::Shutdown),
            SessionState::Pending(_) | SessionState::Authenticated | SessionState::Ready => false,
        }
    }

    /// Timers and gauges that follow the status.
    fn keep_time(&mut self, before: SessionStatus) {
        let status = self.state.status();
        self.ready.set(usize::from(status == SessionStatus::Ready));
        if status == SessionStatus::Ready && before != SessionStatus::Ready {
            let now = Instant::now();
            self.stable_at = Some(now + self.cx.config.stable_after);
            self.watch_at = Some(now + self.cx.config.deaf_after);
        }
        if status != SessionStatus::Ready {
            self.stable_at = None;
            self.watch_at = None;
        }
        if before == SessionStatus::Pending && status != SessionStatus::Pending {
            telemetry::link(if status == SessionStatus::Authenticated {
                "linked"
            } else {
                "failed"
            });
        }
    }

    /// Stores what was not stored yet. On failure it is tried again, in the same order.
    pub(super) async fn save(&mut self) {
        if self.unsaved.is_empty() {
            return;
        }
        let result = self.journal.write(self.unsaved.make_contiguous()).await;
        match result {
            Ok(()) => {
                self.unsaved.clear();
                self.save_at = None;
            }
            Err(StorageError::StaleEpoch) => self.fenced = true,
            Err(error) => {
                self.complain(&error, "The session's state could not be stored; it is tried again");
                self.save_at = Some(Instant::now() + SAVE_AGAIN);
            }
        }
    }

    /// Ends the actor once another owner has the session.
    pub(super) fn fenced(&self) -> ControlFlow<End> {
        if self.fenced {
            tracing::warn!(session.id = %self.slot.session, "Another owner has the session; it stops here");
            return ControlFlow::Break(End::Fenced);
        }
        ControlFlow::Continue(())
    }

    /// Shows the state to everybody who watches.
    pub(super) fn publish(&self) {
        let live = Live {
            state: self.state,
            since: self.since,
            qr: self.qr.clone(),
            pairing_code: self.pairing_code.clone(),
            passkey: self.passkey.clone(),
            deleted: false,
        };
        self.slot.live.send_if_modified(|shown| {
            let changed = *shown != live;
            *shown = live;
            changed
        });
    }

    /// A time of day as a deadline that a change of the clock does not move.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        Instant::now() + self.cx.clock.until(at)
    }
}
