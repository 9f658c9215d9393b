//! A message as its row holds it, and opened.

use wharf_model::{ContentKind, Direction, Lane, MessageId, MessageStatus, SessionId, Timestamp, WorkspaceId};

use crate::driver::value::Row;
use crate::error::{SealError, StorageError};
use crate::seal::{Blind, Place, Sealed, SessionKeys};

/// A message. What people wrote and who they are is sealed; see [`Message::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that sends it or got it.
    pub session_id: SessionId,
    /// Which way it goes.
    pub direction: Direction,
    /// The lane that it waits in; inbound messages have none.
    pub lane: Option<Lane>,
    /// The kind of its content.
    pub kind: ContentKind,
    /// The chat, blind; see [`super::chat_index`].
    pub chat_index: Blind,
    /// The chat, sealed.
    pub chat: Sealed,
    /// `to` as it was given, or the sender, sealed.
    pub peer: Option<Sealed>,
    /// The content in the caller's own form, sealed; gone once it was wiped.
    pub body: Option<Sealed>,
    /// The 32-byte message secret, sealed.
    pub secret: Option<Sealed>,
    /// The caller's JSON, sealed.
    pub metadata: Option<Sealed>,
    /// WhatsApp's id of it, chosen before it is sent.
    pub whatsapp_id: String,
    /// How far it has come.
    pub status: MessageStatus,
    /// Why it failed or waits.
    pub code: Option<String>,
    /// How often it was handed to the engine.
    pub attempts: u64,
    /// Not to be sent before.
    pub due_at: Timestamp,
    /// Not to be sent after.
    pub expires_at: Option<Timestamp>,
    /// Waits until then.
    pub retry_at: Option<Timestamp>,
    /// When it was accepted or came in.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// When the server had it.
    pub sent_at: Option<Timestamp>,
    /// When the recipient's device had it.
    pub delivered_at: Option<Timestamp>,
    /// When the recipient saw it.
    pub read_at: Option<Timestamp>,
    /// Lane otp: which text it is, and in which language.
    pub wording: Option<Wording>,
}

/// What a message with a code shows instead of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// The text's name.
    pub template: String,
    /// Its language.
    pub locale: String,
}

/// The sealed fields of a message, opened. `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenMessage {
    /// The chat's jid.
    pub chat: String,
    /// `to` as it was given, or the sender's jid.
    pub peer: Option<String>,
    /// The content in the caller's own form.
    pub body: Option<Vec<u8>>,
    /// The message secret.
    pub secret: Option<[u8; 32]>,
    /// The caller's JSON.
    pub metadata: Option<Vec<u8>>,
}

/// One line of a message's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// The status.
    pub status: MessageStatus,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub code: Option<String>,
}

impl Message {
    /// Opens the sealed fields.
    ///
    /// # Errors
    /// They are of another session, or were changed.
    pub fn open(&self, keys: &SessionKeys) -> Result<OpenMessage, StorageError> {
        let open = |column, sealed: &Sealed| keys.open(&Place::message(self.id, column), sealed);
        let optional = |column, sealed: &Option<Sealed>| sealed.as_ref().map(|sealed| open(column, sealed)).transpose();
        Ok(OpenMessage {
            chat: text(open("chat", &self.chat)?)?,
            peer: optional("peer", &self.peer)?.map(text).transpose()?,
            body: optional("body", &self.body)?,
            secret: optional("secret", &self.secret)?.map(secret).transpose()?,
            metadata: optional("metadata", &self.metadata)?,
        })
    }
}

fn text(bytes: Vec<u8>) -> Result<String, StorageError> {
    String::from_utf8(bytes).map_err(|_| StorageError::Unreadable("address"))
}

fn secret(bytes: Vec<u8>) -> Result<[u8; 32], SealError> {
    bytes.try_into().map_err(|_| SealError::Malformed)
}

impl std::fmt::Debug for OpenMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenMessage(***)")
    }
}

macro_rules! columns {
    () => {
        "seq, id, workspace_id, session_id, direction, lane, kind, chat_index, chat, peer, body, secret, metadata,
         whatsapp_id, status, code, attempts, due_at, expires_at, retry_at, created_at, updated_at, sent_at,
         delivered_at, read_at, template, locale"
    };
}
pub(crate) use columns;

/// Reads a row of `columns!()`.
pub(crate) fn read(row: &mut Row) -> Result<(i64, Message), StorageError> {
    let seq = row.take()?;
    let message = Message {
        id: row.take()?,
        workspace_id: row.take()?,
        session_id: row.take()?,
        direction: row.take()?,
        lane: row.take()?,
        kind: row.take()?,
        chat_index: row.take()?,
        chat: row.take()?,
        peer: row.take()?,
        body: row.take()?,
        secret: row.take()?,
        metadata: row.take()?,
        whatsapp_id: row.take()?,
        status: row.take()?,
        code: row.take()?,
        attempts: row.take()?,
        due_at: row.take()?,
        expires_at: row.take()?,
        retry_at: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        sent_at: row.take()?,
        delivered_at: row.take()?,
        read_at: row.take()?,
        wording: wording(row)?,
    };
    Ok((seq, message))
}

fn wording(row: &mut Row) -> Result<Option<Wording>, StorageError> {
    let (template, locale): (Option<String>, Option<String>) = (row.take()?, row.take()?);
    Ok(template
        .zip(locale)
        .map(|(template, locale)| Wording { template, locale }))
}

pub(crate) fn read_all(rows: Vec<Row>) -> Result<Vec<Message>, StorageError> {
    rows.into_iter()
        .map(|mut row| read(&mut row).map(|(_, message)| message))
        .collect()
}
