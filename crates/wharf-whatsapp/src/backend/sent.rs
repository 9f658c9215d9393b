//! Sent messages, for devices that ask again. A message of Wharf's own is answered from its row; what the engine sends
//! by itself (peer messages, edits of other libraries' making) is kept here.

use wacore::store::error::{Result, StoreError};
use wharf_model::Timestamp;
use wharf_session::content;
use wharf_session::port::OutboundMessage;
use wharf_storage::messages::{self, Message};
use wharf_storage::{Queue, wa_state};

use super::WaBackend;
use super::kinds::SENT_MESSAGE;
use super::rows::{Extras, failed, open};
use crate::conversions::message;

impl WaBackend {
    fn sent_key(&self, chat: &str, id: &str) -> Vec<u8> {
        self.blind(SENT_MESSAGE, &[chat.as_bytes(), id.as_bytes()])
    }

    /// The row of a message that Wharf sent lately under this id.
    pub(super) async fn own_message(&self, id: &str) -> Result<Option<Message>> {
        self.own_message_since(id, self.clock.now() - self.sent_ttl).await
    }

    /// The row of a message that Wharf accepted at `since` or later, and sends under this id.
    pub(super) async fn own_message_since(&self, id: &str, since: Timestamp) -> Result<Option<Message>> {
        let (session, id) = (self.fence.session, id.to_owned());
        self.storage
            .glance(move |tx| Box::pin(async move { messages::find_by_whatsapp_id(tx, session, &id, since).await }))
            .await
            .map_err(failed)
    }

    /// The message as it was sent, made again from its row; `None` once its body was wiped.
    fn resend(&self, row: &Message) -> Result<Option<Vec<u8>>> {
        let opened = row.open(&self.keys).map_err(failed)?;
        let (Some(body), Some(secret)) = (opened.body, opened.secret) else {
            return Ok(None);
        };
        let to = opened.chat.parse().map_err(|error| unreadable(Box::new(error)))?;
        let content = content::decode(&body).map_err(|error| unreadable(Box::new(error)))?;
        let outbound = OutboundMessage {
            whatsapp_id: row.whatsapp_id.clone(),
            secret,
            to,
            content,
        };
        let message = message(&outbound).map_err(|error| unreadable(Box::new(error)))?;
        Ok(Some(waproto::codec::message_to_vec(&message)))
    }

    pub(super) async fn store_sent(&self, chat: &str, id: &str, payload: &[u8]) -> Result<()> {
        // The look without a database: this is on the road of every send.
        let sending = self.outbound().contains(id);
        if sending || self.own_message(id).await?.is_some() {
            return Ok(());
        }
        let extras = Extras::expires(self.clock.now() + self.sent_ttl);
        self.put(
            Queue::Normal,
            self.seal(SENT_MESSAGE, self.sent_key(chat, id), extras, payload)?,
        )
        .await
    }

    pub(super) async fn take_sent(&self, chat: &str, id: &str) -> Result<Option<Vec<u8>>> {
        if let Some(row) = self.own_message(id).await? {
            return self.resend(&row);
        }
        let (fence, keys, key) = (self.fence, self.shared_keys(), self.sent_key(chat, id));
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let row = wa_state::take(tx, &fence, SENT_MESSAGE, &key).await?;
                Ok(row.map(|row| open(&keys, &row)).transpose()?)
            })
        })
        .await
    }
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Serialization(error)
}
