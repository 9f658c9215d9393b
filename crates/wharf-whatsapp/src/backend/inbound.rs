//! Messages that came in, between their decryption and their commit.
//!
//! The ratchet opens a message once. The engine takes one that it cannot open a second time and that waits for no
//! commit for one that was committed, and acknowledges it: WhatsApp forgets it. That is a loss when the process died,
//! or the connection ended, after the ratchet was stored and before the message was. So every commit leaves a mark for
//! a day, and a message without row and without mark is not acknowledged but asked for again, once.

use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{PendingInboundKey, PendingInboundRow};
use wharf_storage::{Queue, wa_state};

use super::kinds::{COMMITTED, PENDING_INBOUND};
use super::rows::{Extras, seal};
use super::{COMMITTED_TTL, PENDING_INBOUND_TTL, WaBackend};

/// The mark of a message that was committed.
const DONE: &[u8] = b"done";

/// The mark of a message that was asked for again.
const ASKED: &[u8] = b"asked";

/// The rest is found out on the next connection.
const MOST_LOSSES: usize = 256;

/// A message that the ratchet has passed and that was never stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The chat, as the engine writes it.
    pub(crate) chat: String,
    /// The sender's device, as the engine writes it.
    pub(crate) sender: String,
    key: Vec<u8>,
}

/// The engine is not to acknowledge the message.
#[derive(Debug, thiserror::Error)]
#[error("the message was decrypted before and never stored: it is asked for again")]
struct NeverStored;

impl WaBackend {
    fn pending_key(&self, chat: &str, sender: &str, id: &str) -> Vec<u8> {
        self.blind(PENDING_INBOUND, &[chat.as_bytes(), sender.as_bytes(), id.as_bytes()])
    }

    pub(super) async fn store_pending(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let expires_at = self.clock.now() + PENDING_INBOUND_TTL;
        let sealed = rows.iter().map(|row| {
            let key = self.pending_key(row.chat, row.sender, row.id);
            self.seal(PENDING_INBOUND, key, Extras::expires(expires_at), row.message)
        });
        self.put_many(Queue::SignalState, sealed.collect::<Result<_>>()?)
            .await?;
        for row in rows {
            self.intake.left(row.id);
        }
        Ok(())
    }

    /// Asked for a message that the ratchet does not open again.
    pub(super) async fn find_pending(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        self.intake.left(id);
        let key = self.pending_key(chat, sender, id);
        if let Some(message) = self.get(PENDING_INBOUND, key.clone()).await? {
            return Ok(Some(message));
        }
        match self.get(COMMITTED, key.clone()).await?.as_deref() {
            Some(DONE) => Ok(None),
            Some(_) => {
                metrics::counter!("wharf_inbound_lost_total").increment(1);
                tracing::error!(
                    session.id = %self.fence.session,
                    message.whatsapp_id = id,
                    "A message that came in is lost: it was asked for again and came in the same form"
                );
                Ok(None)
            }
            None => {
                self.note_loss(Loss {
                    chat: chat.to_owned(),
                    sender: sender.to_owned(),
                    key,
                });
                Err(StoreError::Database(Box::new(NeverStored)))
            }
        }
    }

    /// The rows go, the marks come, in one unit of work.
    pub(super) async fn commit_pending(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| self.pending_key(key.chat, key.sender, key.id))
            .collect();
        let (fence, session_keys) = (self.fence, self.shared_keys());
        let expires_at = self.clock.now() + COMMITTED_TTL;
        self.write(Queue::SignalState, move |tx| {
            Box::pin(async move {
                let marks = keys
                    .iter()
                    .map(|key| seal(&session_keys, COMMITTED, key.clone(), Extras::expires(expires_at), DONE))
                    .collect::<std::result::Result<Vec<_>, _>>()?;
                wa_state::put_many(tx, &fence, &marks).await?;
                wa_state::delete_many(tx, &fence, PENDING_INBOUND, &keys)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    pub(super) async fn delete_pending(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        let key = self.pending_key(chat, sender, id);
        self.delete(Queue::SignalState, PENDING_INBOUND, key).await
    }

    /// The message was asked for again; a second time would not help.
    pub(crate) async fn note_asked(&self, loss: &Loss) -> Result<()> {
        let extras = Extras::expires(self.clock.now() + PENDING_INBOUND_TTL);
        let mark = self.seal(COMMITTED, loss.key.clone(), extras, ASKED)?;
        self.put(Queue::SignalState, mark).await
    }

    fn note_loss(&self, loss: Loss) {
        self.losses.send_if_modified(|losses| {
            let new = losses.len() < MOST_LOSSES && !losses.contains(&loss);
            if new {
                losses.push(loss);
            }
            new
        });
    }

    /// Waits until a message must be asked for again.
    pub(crate) async fn lossy(&self) {
        // The sender is ours.
        let _ = self.losses.subscribe().wait_for(|losses| !losses.is_empty()).await;
    }

    /// The messages that must be asked for again.
    pub(crate) fn take_losses(&self) -> Vec<Loss> {
        self.losses.send_replace(Vec::new())
    }
}
