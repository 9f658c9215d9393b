//! Messages that come in: rows and events in one unit of work, before WhatsApp is told that they arrived. A message
//! that is delivered again is passed over: its row and its event are there already.

use std::sync::Arc;

use async_trait::async_trait;
use wharf_model::{Clock, Content, EventKind, JidServer, MessageId, MessageStatus, Phone, Random};
use wharf_storage::events::{self as log, Event};
use wharf_storage::messages::{self, InboundDraft, Inserted, NewInbound};
use wharf_storage::{Blind, Queue, Storage, StorageError};

use crate::content;
use crate::context::Context;
use crate::events::{self, InboundFacts, MessageFacts};
use crate::ledger::Ledger;
use crate::port::{InboundError, InboundMessage, InboundSink};
use crate::telemetry;

/// A message that is ready to be stored.
struct Prepared {
    row: NewInbound,
    event: Event,
    proof: Option<Proof>,
}

/// What may prove that a number is its sender's.
struct Proof {
    code: String,
    sender: Phone,
}

#[derive(Debug)]
pub(super) struct Inbox {
    storage: Storage,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    ledger: Ledger,
}

impl Inbox {
    pub(super) fn new(cx: &Context, ledger: Ledger) -> Self {
        Self {
            storage: cx.storage.clone(),
            clock: Arc::clone(&cx.clock),
            random: Arc::clone(&cx.random),
            ledger,
        }
    }

    /// Sealed before the unit of work; of a duplicate the event is thrown away unseen.
    fn prepare(&self, message: &InboundMessage) -> Result<Prepared, StorageError> {
        let id = MessageId::generate(&*self.clock, &*self.random);
        let (chat, sender) = (message.chat.to_string(), message.sender.to_string());
        let row = InboundDraft {
            id,
            workspace_id: self.ledger.workspace,
            session_id: self.ledger.session,
            kind: message.content.kind(),
            chat: &chat,
            sender: &sender,
            body: &content::encode_inbound(&message.content, &message.raw),
            secret: None,
            whatsapp_id: &message.whatsapp_id,
            sent_at: Some(message.at),
            created_at: self.clock.now(),
        }
        .seal(&self.ledger.keys)?;
        let facts = MessageFacts {
            id,
            session: self.ledger.session,
            lane: None,
            chat: &chat,
            whatsapp_id: &message.whatsapp_id,
            metadata: None,
        };
        let sender_phone = message.sender_phone.as_ref().map(ToString::to_string);
        let inbound = InboundFacts {
            sender: &sender,
            sender_phone: sender_phone.as_deref(),
            push_name: message.push_name.as_deref(),
            from_me: message.from_me,
            at: message.at,
            content: &message.content,
        };
        let event = self
            .ledger
            .event(EventKind::MessageReceived, &events::message_received(&facts, inbound))?;
        Ok(Prepared {
            row,
            event,
            proof: self.proof_in(message),
        })
    }

    /// Only where one person speaks to us alone, and only by the number that WhatsApp tells: a hidden id is none.
    fn proof_in(&self, message: &InboundMessage) -> Option<Proof> {
        let Content::Text(said) = &message.content else {
            return None;
        };
        if message.from_me || message.chat.server() == JidServer::Group {
            return None;
        }
        let code = self.ledger.code_in(&said.body)?;
        let mut addresses = [Some(&message.sender), message.sender_phone.as_ref()]
            .into_iter()
            .flatten();
        let number = addresses.find(|address| address.server() == JidServer::Phone)?;
        Some(Proof {
            code,
            sender: number.user().parse().ok()?,
        })
    }

    /// The chats in which somebody else said something, under every address that Wharf may have written to.
    fn answered(&self, batch: &[InboundMessage]) -> Vec<Blind> {
        let others = batch.iter().filter(|message| !message.from_me);
        let chats = others.flat_map(|message| {
            let direct = message.chat == message.sender;
            [Some(&message.chat), message.sender_phone.as_ref().filter(|_| direct)]
        });
        chats
            .flatten()
            .map(|chat| messages::chat_index(&self.ledger.keys, &chat.to_string()))
            .collect()
    }

    async fn store(&self, batch: &[InboundMessage]) -> Result<usize, StorageError> {
        let rows = batch
            .iter()
            .map(|message| self.prepare(message))
            .collect::<Result<Vec<_>, _>>()?;
        let answered = self.answered(batch);
        let (ledger, session, now) = (self.ledger.clone(), self.ledger.session, self.clock.now());
        self.storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    let mut new = 0;
                    for Prepared { row, event, proof } in &rows {
                        if messages::insert_inbound(tx, row).await? != Inserted::New {
                            continue;
                        }
                        log::append(tx, event).await?;
                        new += 1;
                        if let Some(proof) = proof {
                            ledger.received(tx, &proof.code, &proof.sender).await?;
                        }
                    }
                    for chat in answered.iter().filter(|_| new > 0) {
                        messages::stop_waiting(tx, session, chat, now).await?;
                    }
                    Ok(new)
                })
            })
            .await
    }
}

#[async_trait]
impl InboundSink for Inbox {
    async fn commit(&self, batch: Vec<InboundMessage>) -> Result<(), InboundError> {
        match self.store(&batch).await {
            Ok(new) => {
                telemetry::messages(MessageStatus::Received, new);
                Ok(())
            }
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(session.id = %self.ledger.session, error = cause, "Inbound messages could not be stored; WhatsApp will deliver them again");
                Err(InboundError(Box::new(error)))
            }
        }
    }
}
