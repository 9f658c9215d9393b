//! What becomes of messages with codes, and of texts that people send to prove their numbers: written beside the message's own
//! step, in the same unit of work.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_model::{Clock, EventId, EventKind, MessageStatus, Random, SessionId, Timestamp};
use wharf_session::{CodeFollower, CodeStep, ReceivedCode};
use wharf_storage::events::Event;
use wharf_storage::receptions::{self, Arrival};
use wharf_storage::verifications::{self, Followed};
use wharf_storage::{SessionKeys, StorageError, Tx};

use crate::events::{self, Facts};
use crate::pool::Pool;
use crate::verifications::{ReceptionTeller, one_spelling};
use crate::{proof, telemetry};

/// Follows the messages of verifications, and takes the texts that are waited for. Give it to the sessions before they start.
#[derive(Debug)]
pub struct Deliveries {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    pub(crate) pool: Pool,
}

impl Deliveries {
    /// Knows of no session yet.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            random,
            pool: Pool::default(),
        })
    }

    fn event(
        &self,
        keys: &SessionKeys,
        step: &CodeStep<'_>,
        followed: &Followed,
        kind: EventKind,
    ) -> Result<Event, StorageError> {
        let facts = Facts {
            id: followed.id,
            status: followed.status,
            session: Some(step.session),
            phone: step.recipient,
            purpose: &followed.purpose,
            metadata: step.metadata,
            at: step.at,
        };
        let data = events::data(facts, step.code).to_string();
        let id = EventId::generate(&*self.clock, &*self.random);
        Ok(Event {
            id,
            workspace_id: step.workspace,
            session_id: Some(step.session),
            kind,
            data: keys.seal_event(id, data.as_bytes())?,
            created_at: self.clock.now(),
        })
    }
}

/// What is told of a step; of a message that a newer one took the place of nothing is.
const fn kind_of(to: MessageStatus, followed: &Followed) -> Option<EventKind> {
    if !followed.is_last {
        return None;
    }
    match to {
        MessageStatus::Sent => Some(EventKind::OtpSent),
        MessageStatus::Delivered => Some(EventKind::OtpDelivered),
        MessageStatus::Failed | MessageStatus::Expired | MessageStatus::Cancelled if !followed.status.is_final() => {
            Some(EventKind::OtpFailed)
        }
        _ => None,
    }
}

#[async_trait]
impl CodeFollower for Deliveries {
    async fn follow(
        &self,
        tx: &mut Tx,
        keys: &SessionKeys,
        step: &CodeStep<'_>,
    ) -> Result<Option<Event>, StorageError> {
        // When it is heard, by the clock that the message was accepted by: receipts count whole seconds of another one.
        let now = self.clock.now();
        let Some(followed) = verifications::note_status(tx, step.message, step.to, step.code, now).await? else {
            return Ok(None);
        };
        match step.to {
            MessageStatus::Delivered => self.pool.note(step.session, true, self.clock.now()),
            // A code that was taken back, or a number without an account, says nothing of its session.
            MessageStatus::Failed if !matches!(step.code, Some("cancelled" | "not_on_whatsapp")) => {
                self.pool.note(step.session, false, self.clock.now());
            }
            _ => {}
        }
        let Some(kind) = kind_of(step.to, &followed) else {
            return Ok(None);
        };
        telemetry::happened(kind);
        self.event(keys, step, &followed, kind).map(Some)
    }

    fn looks_for(&self, text: &str) -> Option<String> {
        proof::find(text)
    }

    async fn received(
        &self,
        tx: &mut Tx,
        keys: &SessionKeys,
        received: &ReceivedCode<'_>,
    ) -> Result<Option<Event>, StorageError> {
        let (phone, now) = (received.sender.to_string(), self.clock.now());
        let arrival = Arrival {
            text: receptions::text_index(keys, received.text),
            sender: receptions::phone_index(keys, &one_spelling(received.sender)),
            phone: &phone,
            at: now,
        };
        let Some(taken) = receptions::take(tx, keys, &arrival).await? else {
            return Ok(None);
        };
        let teller = ReceptionTeller {
            keys,
            clock: &*self.clock,
            random: &*self.random,
        };
        telemetry::happened(EventKind::OtpApproved);
        teller.event(&taken, EventKind::OtpApproved, now).map(Some)
    }

    fn note_time_lock(&self, session: SessionId, until: Timestamp) {
        self.pool.note_time_lock(session, until);
    }
}
