//! Messages that come in.

use wharf_model::{Direction, MessageId, MessageStatus};

use super::draft::NewInbound;
use crate::driver::value::params;
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::unit::tx::Tx;

/// What became of an inbound message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored; append its event.
    New,
    /// It was stored before under this id: WhatsApp delivered it again.
    Duplicate(MessageId),
}

/// Stores an inbound message once: unique on session, chat, sender and WhatsApp's id.
///
/// # Errors
/// The database failed.
pub async fn insert_inbound(tx: &mut Tx, message: &NewInbound) -> Result<Inserted, StorageError> {
    // Before the row: what moves messages on after it in this unit would wait for whoever has the lock and waits for
    // the row.
    tx.lock(Lock::Messages(message.session_id)).await?;
    let inserted = tx
        .execute(
            "insert into messages (id, workspace_id, session_id, direction, kind, chat_index, sender_index, chat, peer,
                 body, secret, whatsapp_id, status, due_at, created_at, updated_at, sent_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $14, $15)
             on conflict (session_id, whatsapp_id, chat_index, sender_index) do nothing",
            params![
                &message.id,
                &message.workspace_id,
                &message.session_id,
                Direction::Inbound,
                message.kind,
                &message.chat_index,
                &message.sender_index,
                &message.chat,
                &message.peer,
                &message.body,
                &message.secret,
                &message.whatsapp_id,
                MessageStatus::Received,
                message.created_at,
                message.sent_at
            ],
        )
        .await?;
    if inserted == 1 {
        Ok(Inserted::New)
    } else {
        first_delivery(tx, message).await
    }
}

async fn first_delivery(tx: &mut Tx, message: &NewInbound) -> Result<Inserted, StorageError> {
    let row = tx
        .first(
            "select id from messages
             where session_id = $1 and whatsapp_id = $2 and chat_index = $3 and sender_index = $4",
            params![
                &message.session_id,
                &message.whatsapp_id,
                &message.chat_index,
                &message.sender_index
            ],
        )
        .await?;
    row.ok_or(StorageError::Unreadable("inbound message"))?
        .take()
        .map(Inserted::Duplicate)
}
