//! A message between the request and its unit of work: checked, given its ids and its secret, sealed.

use std::time::Duration;

use serde_json::Value;
use wharf_model::{
    Content, Direction, EventId, EventKind, Lane, MessageId, MessageStatus, Recipient, SessionId, TextContent,
    Timestamp, WorkspaceId,
};
use wharf_storage::events::Event;
use wharf_storage::messages::{NewOutbound, OutboundDraft, TimelineEntry, Wording};
use wharf_storage::usage::Allowance;
use wharf_storage::{SessionKeys, StorageError};

use super::{AcceptError, MAX_METADATA, MessageView};
use crate::content;
use crate::context::Context;
use crate::events::{self, MessageFacts};

/// The longest time a message may wait: a year.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The session that is to send it.
    pub session_id: SessionId,
    /// Who is to get it.
    pub to: Recipient,
    /// What it says.
    pub content: Content,
    /// The lane.
    pub lane: Lane,
    /// Not to be sent before; `None` for at once.
    pub send_at: Option<Timestamp>,
    /// How long after `send_at` (or now) it may still be sent; `None` for ever.
    pub expires_in: Option<Duration>,
    /// The caller's own JSON object.
    pub metadata: Option<Value>,
    /// Whose quota it counts towards; `None` for nobody's.
    pub allowance: Option<Allowance>,
}

/// All that the unit of work needs, and the answer.
#[derive(Debug)]
pub(super) struct PreparedMessage {
    pub row: NewOutbound,
    pub event: Event,
    pub session: SessionId,
    pub lane: Lane,
    pub allowance: Option<Allowance>,
    pub view: MessageView,
}

/// What is wrong with a message that storage need not be asked about.
pub(super) fn check(new: &NewMessage, now: Timestamp) -> Result<(), AcceptError> {
    match &new.content {
        Content::Text(text) if text.body.is_empty() => return Err(AcceptError::EmptyText),
        Content::Text(text) if text.body.chars().count() > TextContent::MAX_CHARS => {
            return Err(AcceptError::TextTooLong);
        }
        Content::Text(_) => {}
        Content::Unsupported(_) => return Err(AcceptError::Unsendable),
    }
    if new.send_at.is_some_and(|at| at > now + LONGEST_WAIT) {
        return Err(AcceptError::SendAt);
    }
    if new.expires_in.is_some_and(|wait| wait.is_zero() || wait > LONGEST_WAIT) {
        return Err(AcceptError::ExpiresIn);
    }
    match &new.metadata {
        Some(metadata) if !metadata.is_object() || metadata.to_string().len() > MAX_METADATA => {
            Err(AcceptError::Metadata)
        }
        _ => Ok(()),
    }
}

/// Chooses the ids and the secret, and seals.
pub(super) fn prepare(
    cx: &Context,
    workspace: WorkspaceId,
    new: NewMessage,
    wording: Option<Wording>,
    keys: &SessionKeys,
    now: Timestamp,
) -> Result<PreparedMessage, StorageError> {
    let mut secret = [0; 32];
    cx.random.fill(&mut secret);
    let allowance = new.allowance;
    let view = view_of(cx, new, wording, now);
    let metadata = view.metadata.as_ref().map(|metadata| metadata.to_string().into_bytes());
    let body = view.content.as_ref().map(content::encode).unwrap_or_default();
    let lane = view.lane.unwrap_or(Lane::Interactive);
    let row = OutboundDraft {
        id: view.id,
        workspace_id: workspace,
        session_id: view.session_id,
        lane,
        kind: view.kind,
        chat: &view.chat,
        to: view.peer.as_deref().unwrap_or(&view.chat),
        body: &body,
        secret: &secret,
        metadata: metadata.as_deref(),
        whatsapp_id: &view.whatsapp_id,
        due_at: view.send_at,
        expires_at: view.expires_at,
        created_at: now,
        wording: view.wording.as_ref(),
    }
    .seal(keys)?;
    let event = queued_event(cx, workspace, &view, keys, now)?;
    Ok(PreparedMessage {
        row,
        event,
        session: view.session_id,
        lane,
        allowance,
        view: hide_otp(view),
    })
}

fn view_of(cx: &Context, new: NewMessage, wording: Option<Wording>, now: Timestamp) -> MessageView {
    let send_at = new.send_at.map_or(now, |at| at.max(now));
    MessageView {
        id: MessageId::generate(&*cx.clock, &*cx.random),
        session_id: new.session_id,
        direction: Direction::Outbound,
        lane: Some(new.lane),
        chat: new.to.to_jid().to_string(),
        peer: Some(text_of(&new.to)),
        kind: new.content.kind(),
        content: Some(new.content),
        wording,
        whatsapp_id: whatsapp_id(cx),
        status: MessageStatus::Queued,
        code: None,
        send_at,
        expires_at: new.expires_in.map(|wait| send_at + wait),
        retry_at: None,
        created_at: now,
        updated_at: now,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        metadata: new.metadata,
        timeline: vec![TimelineEntry {
            status: MessageStatus::Queued,
            at: now,
            code: None,
        }],
    }
}

/// `to` as it is shown again: a number in E.164, a jid as it is.
fn text_of(to: &Recipient) -> String {
    match to {
        Recipient::Phone(phone) => phone.to_string(),
        Recipient::Jid(jid) => jid.to_string(),
    }
}

/// An id in the form that WhatsApp's own web client chooses.
fn whatsapp_id(cx: &Context) -> String {
    let mut bytes = [0; 9];
    cx.random.fill(&mut bytes);
    bytes
        .iter()
        .fold("3EB0".to_owned(), |id, byte| id + &format!("{byte:02X}"))
}

/// An OTP's body is in no answer, whoever asks.
fn hide_otp(mut view: MessageView) -> MessageView {
    if view.lane == Some(Lane::Otp) {
        view.content = None;
    }
    view
}

fn queued_event(
    cx: &Context,
    workspace: WorkspaceId,
    view: &MessageView,
    keys: &SessionKeys,
    now: Timestamp,
) -> Result<Event, StorageError> {
    let id = EventId::generate(&*cx.clock, &*cx.random);
    let facts = MessageFacts {
        id: view.id,
        session: view.session_id,
        lane: view.lane,
        chat: &view.chat,
        whatsapp_id: &view.whatsapp_id,
        metadata: view.metadata.as_ref(),
    };
    let data = events::message_status(&facts, MessageStatus::Queued, now, None);
    Ok(Event {
        id,
        workspace_id: workspace,
        session_id: Some(view.session_id),
        kind: EventKind::MessageQueued,
        data: keys.seal_event(id, data.to_string().as_bytes())?,
        created_at: now,
    })
}
