//! Steps of messages with their events, inside a unit of work. An event is sealed where its step is taken, because only
//! there it is known whether the step is taken at all.

use std::sync::Arc;

use serde_json::Value;
use wharf_model::{
    Clock, EventId, EventKind, Lane, MessageId, MessageStatus, Phone, Random, SessionId, Timestamp, WorkspaceId,
};
use wharf_storage::events::{self as log, Event};
use wharf_storage::messages::{self, Advance, Message, NamedStep};
use wharf_storage::{Place, SessionKeys, StorageError, Tx};

use crate::context::Context;
use crate::events::{self, MessageFacts};
use crate::follow::{CodeFollower, CodeStep, ReceivedCode};

/// What is needed to tell of a session's messages.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub workspace: WorkspaceId,
    pub session: SessionId,
    pub keys: Arc<SessionKeys>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    codes: Option<Arc<dyn CodeFollower>>,
}

/// A step that is to be taken.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub to: MessageStatus,
    pub at: Timestamp,
    pub code: Option<String>,
}

impl Ledger {
    pub(crate) fn new(cx: &Context, workspace: WorkspaceId, keys: Arc<SessionKeys>) -> Self {
        let session = keys.session();
        Self {
            workspace,
            session,
            keys,
            clock: Arc::clone(&cx.clock),
            random: Arc::clone(&cx.random),
            codes: cx.codes.clone(),
        }
    }

    /// Takes a step and tells of it. `false`: the message was there already, or past it.
    pub(crate) async fn advance(&self, tx: &mut Tx, id: MessageId, step: &Step) -> Result<bool, StorageError> {
        let code = step.code.as_deref();
        let advance = messages::advance(tx, self.session, id, step.to, step.at, code).await?;
        self.told(tx, advance, step).await
    }

    /// As [`Ledger::advance`], for messages that WhatsApp names. Says which steps were taken.
    pub(crate) async fn advance_named(
        &self,
        tx: &mut Tx,
        steps: &[NamedStep],
    ) -> Result<Vec<MessageStatus>, StorageError> {
        let advances = messages::advance_named(tx, self.session, steps).await?;
        let mut taken = Vec::with_capacity(steps.len());
        for (named, advance) in steps.iter().zip(advances) {
            let step = Step {
                to: named.to,
                at: named.at,
                code: None,
            };
            if self.told(tx, advance, &step).await? {
                taken.push(step.to);
            }
        }
        Ok(taken)
    }

    /// Tells of a step that was taken, if it was.
    pub(crate) async fn told(&self, tx: &mut Tx, advance: Option<Advance>, step: &Step) -> Result<bool, StorageError> {
        let Some(Advance { from, message }) = advance else {
            return Ok(false);
        };
        if messages::implies_sent(from, step.to) {
            let sent = Step {
                to: MessageStatus::Sent,
                ..step.clone()
            };
            self.tell(tx, &message, &sent).await?;
        }
        self.tell(tx, &message, step).await?;
        if message.lane == Some(Lane::Otp) && is_end_of_otp(step.to) {
            messages::wipe_body(tx, self.session, message.id).await?;
        }
        Ok(true)
    }

    async fn tell(&self, tx: &mut Tx, message: &Message, step: &Step) -> Result<(), StorageError> {
        let Some(kind) = events::kind_of(step.to) else {
            return Ok(());
        };
        // Not `Message::open`: the body may be long, and no event shows it.
        let open = |column, sealed| self.keys.open(&Place::message(message.id, column), sealed);
        let chat = String::from_utf8(open("chat", &message.chat)?).map_err(|_| StorageError::Unreadable("address"))?;
        let metadata = message
            .metadata
            .as_ref()
            .map(|sealed| open("metadata", sealed))
            .transpose()?;
        let metadata: Option<Value> = metadata.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let facts = MessageFacts {
            id: message.id,
            session: self.session,
            lane: message.lane,
            chat: &chat,
            whatsapp_id: &message.whatsapp_id,
            metadata: metadata.as_ref(),
        };
        let data = events::message_status(&facts, step.to, step.at, step.code.as_deref());
        let event = self.event(kind, &data)?;
        log::append(tx, &event).await?;
        if message.lane == Some(Lane::Otp) {
            self.tell_follower(tx, message, step, metadata.as_ref()).await?;
        }
        Ok(())
    }

    /// Whoever keeps the code hears of the step in the same unit of work.
    async fn tell_follower(
        &self,
        tx: &mut Tx,
        message: &Message,
        step: &Step,
        metadata: Option<&Value>,
    ) -> Result<(), StorageError> {
        let Some(codes) = &self.codes else {
            return Ok(());
        };
        let peer = message.peer.as_ref();
        let peer = peer.map(|sealed| self.keys.open(&Place::message(message.id, "peer"), sealed));
        let peer = peer.transpose()?.and_then(|bytes| String::from_utf8(bytes).ok());
        let told = CodeStep {
            workspace: self.workspace,
            session: self.session,
            message: message.id,
            to: step.to,
            at: step.at,
            code: step.code.as_deref(),
            recipient: peer.as_deref(),
            metadata,
        };
        match codes.follow(tx, &self.keys, &told).await? {
            Some(event) => log::append(tx, &event).await,
            None => Ok(()),
        }
    }

    /// What may be a code in a text that came in, where somebody looks for codes.
    pub(crate) fn code_in(&self, text: &str) -> Option<String> {
        self.codes.as_ref()?.looks_for(text)
    }

    /// Whoever waits for a code hears of one in the unit of work that stores its message.
    pub(crate) async fn received(&self, tx: &mut Tx, text: &str, sender: &Phone) -> Result<(), StorageError> {
        let Some(codes) = &self.codes else {
            return Ok(());
        };
        let told = ReceivedCode {
            workspace: self.workspace,
            session: self.session,
            text,
            sender,
        };
        match codes.received(tx, &self.keys, &told).await? {
            Some(event) => log::append(tx, &event).await,
            None => Ok(()),
        }
    }

    /// Seals an event of this session, to be appended.
    pub(crate) fn event(&self, kind: EventKind, data: &Value) -> Result<Event, StorageError> {
        let id = EventId::generate(&*self.clock, &*self.random);
        Ok(Event {
            id,
            workspace_id: self.workspace,
            session_id: Some(self.session),
            kind,
            data: self.keys.seal_event(id, data.to_string().as_bytes())?,
            created_at: self.clock.now(),
        })
    }

    /// Ends queued messages whose time ran out, at most `limit`. Says how many.
    pub(crate) async fn expire(&self, tx: &mut Tx, now: Timestamp, limit: u32) -> Result<usize, StorageError> {
        let code = crate::FailureCode::Expired.to_string();
        let ended = messages::expire_due(tx, self.session, now, &code, limit).await?;
        self.tell_expired(tx, ended, now, code).await
    }

    /// The same for messages that were handed over and never acknowledged, while the session is off.
    pub(crate) async fn expire_in_flight(&self, tx: &mut Tx, now: Timestamp) -> Result<usize, StorageError> {
        let code = crate::FailureCode::Expired.to_string();
        let ended = messages::expire_in_flight(tx, self.session, now, &code).await?;
        self.tell_expired(tx, ended, now, code).await
    }

    async fn tell_expired(
        &self,
        tx: &mut Tx,
        ended: Vec<Advance>,
        now: Timestamp,
        code: String,
    ) -> Result<usize, StorageError> {
        let step = Step {
            to: MessageStatus::Expired,
            at: now,
            code: Some(code),
        };
        let count = ended.len();
        for advance in ended {
            self.told(tx, Some(advance), &step).await?;
        }
        Ok(count)
    }
}

/// From here on nobody needs an OTP's digits: no retry receipt will ask for them.
const fn is_end_of_otp(status: MessageStatus) -> bool {
    matches!(
        status,
        MessageStatus::Delivered
            | MessageStatus::Read
            | MessageStatus::Played
            | MessageStatus::Failed
            | MessageStatus::Expired
            | MessageStatus::Cancelled
    )
}
