//! Messages on their way in: plain drafts, and the same sealed, ready for a unit of work.

use wharf_model::{ContentKind, Lane, MessageId, SessionId, Timestamp, WorkspaceId};

use super::row::Wording;
use crate::error::StorageError;
use crate::seal::{Blind, Place, Sealed, SessionKeys};

/// What stands in the index for a chat. The chat is a bare jid, without a device.
pub fn chat_index(keys: &SessionKeys, chat: &str) -> Blind {
    keys.blind("chat", chat)
}

/// An outbound message in plain.
#[derive(Clone)]
pub struct OutboundDraft<'a> {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that is to send it.
    pub session_id: SessionId,
    /// The lane.
    pub lane: Lane,
    /// The kind of its content.
    pub kind: ContentKind,
    /// The chat's jid.
    pub chat: &'a str,
    /// `to` as it was given.
    pub to: &'a str,
    /// The content, in the caller's own form.
    pub body: &'a [u8],
    /// The message secret.
    pub secret: &'a [u8; 32],
    /// The caller's JSON.
    pub metadata: Option<&'a [u8]>,
    /// WhatsApp's id for it.
    pub whatsapp_id: &'a str,
    /// Not to be sent before; now for at once.
    pub due_at: Timestamp,
    /// Not to be sent after.
    pub expires_at: Option<Timestamp>,
    /// Now.
    pub created_at: Timestamp,
    /// Lane otp: what it shows instead of its body.
    pub wording: Option<&'a Wording>,
}

/// An outbound message, sealed.
#[derive(Clone, Debug)]
pub struct NewOutbound {
    pub(crate) id: MessageId,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) session_id: SessionId,
    pub(crate) lane: Lane,
    pub(crate) kind: ContentKind,
    pub(crate) chat_index: Blind,
    pub(crate) chat: Sealed,
    pub(crate) peer: Sealed,
    pub(crate) body: Sealed,
    pub(crate) secret: Sealed,
    pub(crate) metadata: Option<Sealed>,
    pub(crate) whatsapp_id: String,
    pub(crate) due_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) wording: Option<Wording>,
}

impl OutboundDraft<'_> {
    /// Seals it; pure work, to be done before the unit.
    ///
    /// # Errors
    /// See [`crate::SealingKey::seal`].
    pub fn seal(&self, keys: &SessionKeys) -> Result<NewOutbound, StorageError> {
        let seal = |column, plain: &[u8]| keys.seal(&Place::message(self.id, column), plain);
        Ok(NewOutbound {
            id: self.id,
            workspace_id: self.workspace_id,
            session_id: self.session_id,
            lane: self.lane,
            kind: self.kind,
            chat_index: chat_index(keys, self.chat),
            chat: seal("chat", self.chat.as_bytes())?,
            peer: seal("peer", self.to.as_bytes())?,
            body: seal("body", self.body)?,
            secret: seal("secret", self.secret)?,
            metadata: self.metadata.map(|metadata| seal("metadata", metadata)).transpose()?,
            whatsapp_id: self.whatsapp_id.to_owned(),
            due_at: self.due_at,
            expires_at: self.expires_at,
            created_at: self.created_at,
            wording: self.wording.cloned(),
        })
    }
}

/// An inbound message in plain.
#[derive(Clone)]
pub struct InboundDraft<'a> {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that got it.
    pub session_id: SessionId,
    /// The kind of its content.
    pub kind: ContentKind,
    /// The chat's bare jid.
    pub chat: &'a str,
    /// The sender's bare jid.
    pub sender: &'a str,
    /// The content, in the caller's own form.
    pub body: &'a [u8],
    /// The message secret, when it has one.
    pub secret: Option<&'a [u8; 32]>,
    /// WhatsApp's id of it.
    pub whatsapp_id: &'a str,
    /// When the sender sent it, as WhatsApp says.
    pub sent_at: Option<Timestamp>,
    /// Now.
    pub created_at: Timestamp,
}

/// An inbound message, sealed.
#[derive(Clone, Debug)]
pub struct NewInbound {
    pub(crate) id: MessageId,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) session_id: SessionId,
    pub(crate) kind: ContentKind,
    pub(crate) chat_index: Blind,
    pub(crate) sender_index: Blind,
    pub(crate) chat: Sealed,
    pub(crate) peer: Sealed,
    pub(crate) body: Sealed,
    pub(crate) secret: Option<Sealed>,
    pub(crate) whatsapp_id: String,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

impl InboundDraft<'_> {
    /// Seals it; pure work, to be done before the unit.
    ///
    /// # Errors
    /// See [`crate::SealingKey::seal`].
    pub fn seal(&self, keys: &SessionKeys) -> Result<NewInbound, StorageError> {
        let seal = |column, plain: &[u8]| keys.seal(&Place::message(self.id, column), plain);
        Ok(NewInbound {
            id: self.id,
            workspace_id: self.workspace_id,
            session_id: self.session_id,
            kind: self.kind,
            chat_index: chat_index(keys, self.chat),
            sender_index: keys.blind("sender", self.sender),
            chat: seal("chat", self.chat.as_bytes())?,
            peer: seal("peer", self.sender.as_bytes())?,
            body: seal("body", self.body)?,
            secret: self.secret.map(|secret| seal("secret", secret)).transpose()?,
            whatsapp_id: self.whatsapp_id.to_owned(),
            sent_at: self.sent_at,
            created_at: self.created_at,
        })
    }
}

/// Drafts hold what people wrote: `Debug` shows their ids only.
impl std::fmt::Debug for OutboundDraft<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutboundDraft({})", self.id)
    }
}

/// See [`OutboundDraft`].
impl std::fmt::Debug for InboundDraft<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InboundDraft({})", self.id)
    }
}
