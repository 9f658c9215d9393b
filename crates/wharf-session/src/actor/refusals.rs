//! Messages that do not go through: what a failed write or a refusal of the server means for the row. It waits with
//! `retry_at`, if waiting can help and its time allows, or ends with a stable code. Nothing is dropped silently.

use tokio::time::Instant;
use wharf_model::{MessageId, MessageStatus, Timestamp};
use wharf_storage::{Queue, StorageError, messages};

use super::outbound::SHORT;
use super::outbox::{Item, WriteError, Written};
use super::{Actor, SAVE_AGAIN};
use crate::failure::{self, FailureCode};
use crate::ledger::Step;
use crate::telemetry;

impl Actor {
    /// A write ended. The ack may have come first: then there is nothing left to do.
    pub(super) async fn on_written(&mut self, written: Written) {
        let Written {
            whatsapp_id, result, ..
        } = written;
        let error = match result {
            Ok(()) => return self.outbox.await_ack(&whatsapp_id, self.cx.config.ack_timeout),
            // It may have been written: as if it had been.
            Err(WriteError::TimedOut) => return self.outbox.await_ack(&whatsapp_id, self.cx.config.ack_timeout),
            Err(WriteError::Send(error)) => error,
            Err(WriteError::Panicked) => return self.refuse(&whatsapp_id, FailureCode::EngineFailed).await,
        };
        match failure::of_send_error(&error) {
            Some(code) => {
                tracing::warn!(session.id = %self.slot.session, message.code = %code, "A message could not be written: {error}");
                self.refuse(&whatsapp_id, code).await;
            }
            None => {
                // The row stays `sending`; if no word of the connection's end follows, it is looked at again.
                self.outbox.forget(&whatsapp_id);
                self.outbox.look_at(None);
                self.outbox.recover_at(Instant::now() + SAVE_AGAIN);
            }
        }
    }

    /// A message was refused, here or by the server: it waits, if that can help and its time allows, or fails.
    async fn refuse(&mut self, whatsapp_id: &str, code: FailureCode) {
        let Some((item, _)) = self.outbox.settle(whatsapp_id) else {
            return;
        };
        let now = self.cx.clock.now();
        if code == FailureCode::RateLimited {
            self.outbox.pacer().hold(now + SHORT);
        }
        let wait = code.wait(item.attempts).map(|wait| now + wait);
        if let (FailureCode::TimeLocked, Some(until), Some(codes)) = (code, wait, &self.cx.codes) {
            codes.note_time_lock(self.slot.session, until);
        }
        let waits = wait.filter(|at| item.expires_at.is_none_or(|end| *at < end));
        let result = match waits {
            Some(at) => self.postpone(&item, at, code).await,
            None => self.fail(whatsapp_id, item.id, code).await,
        };
        if let Err(error) = result {
            self.on_storage_error(
                &error,
                "A refused message could not be stored as such; it is sent again",
            );
            self.outbox.recover_at(Instant::now() + SAVE_AGAIN);
        }
    }

    async fn postpone(&self, item: &Item, at: Timestamp, code: FailureCode) -> Result<(), StorageError> {
        let (session, id, now) = (self.slot.session, item.id, self.cx.clock.now());
        self.cx
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    messages::postpone(tx, session, id, at, &code.to_string(), now)
                        .await
                        .map(drop)
                })
            })
            .await
    }

    pub(super) async fn fail(
        &mut self,
        whatsapp_id: &str,
        id: MessageId,
        code: FailureCode,
    ) -> Result<(), StorageError> {
        self.outbox.forget(whatsapp_id);
        let step = Step {
            to: MessageStatus::Failed,
            at: self.cx.clock.now(),
            code: Some(code.to_string()),
        };
        self.step(id, step).await
    }

    pub(super) async fn expire_one(&mut self, item: &Item) -> Result<(), StorageError> {
        let code = FailureCode::Expired.to_string();
        let step = Step {
            to: MessageStatus::Expired,
            at: self.cx.clock.now(),
            code: Some(code),
        };
        self.step(item.id, step).await
    }

    async fn step(&self, id: MessageId, step: Step) -> Result<(), StorageError> {
        let (ledger, status) = (self.ledger.clone(), step.to);
        let taken = self
            .cx
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { ledger.advance(tx, id, &step).await })
            })
            .await?;
        telemetry::messages(status, usize::from(taken));
        Ok(())
    }

    /// A server's refusal of a message that is on the wire.
    pub(super) async fn on_refused(&mut self, whatsapp_id: &str, error: u16) {
        let code = FailureCode::from_ack(error);
        tracing::warn!(session.id = %self.slot.session, message.code = %code, "WhatsApp refused a message");
        self.refuse(whatsapp_id, code).await;
    }
}
