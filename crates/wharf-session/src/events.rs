//! The data of events: our own shapes, made where the change is made, sealed before they are stored. A QR text, a key
//! or the body of an OTP never stands in one.

use serde_json::{Map, Value, json};
use wharf_model::{
    Content, EventKind, Lane, MessageId, MessageStatus, PendingStep, SessionId, SessionState, SessionStatus, Timestamp,
};

use crate::content;

/// `session.status`.
pub(crate) fn session_status(
    session: SessionId,
    before: SessionStatus,
    state: SessionState,
    detail: Option<&str>,
) -> Value {
    let mut data = Map::new();
    data.insert("session_id".to_owned(), json!(session.to_string()));
    data.insert("status".to_owned(), json!(state.status().as_str()));
    data.insert("previous_status".to_owned(), json!(before.as_str()));
    if let SessionState::Pending(step) = state {
        data.insert("connection_step".to_owned(), json!(step.as_str()));
    }
    if let Some(reason) = state.reason() {
        data.insert("reason".to_owned(), json!(reason.code()));
        data.insert("error".to_owned(), json!(error_text(state, detail)));
    }
    if let Some(at) = state.next_attempt_at() {
        data.insert("next_attempt_at".to_owned(), json!(at.to_string()));
    }
    Value::Object(data)
}

/// `session.qr`: when it stops working, never what it says.
pub(crate) fn session_qr(session: SessionId, expires_at: Timestamp) -> Value {
    let step = PendingStep::ScanQr { expires_at };
    json!({
        "session_id": session.to_string(),
        "connection_step": step.as_str(),
        "expires_at": expires_at.to_string(),
    })
}

/// `session.pairing_code`: when it stops working, never what it is.
pub(crate) fn session_pairing_code(session: SessionId, expires_at: Timestamp) -> Value {
    let step = PendingStep::EnterCode { expires_at };
    json!({
        "session_id": session.to_string(),
        "connection_step": step.as_str(),
        "expires_at": expires_at.to_string(),
    })
}

/// `session.passkey`: what is asked for, never the challenge or the code.
pub(crate) fn session_passkey(session: SessionId, step: PendingStep) -> Value {
    json!({ "session_id": session.to_string(), "connection_step": step.as_str() })
}

/// One sentence for the person who runs the gateway.
pub(crate) fn error_text(state: SessionState, detail: Option<&str>) -> Option<String> {
    let sentence = state.reason()?.sentence();
    Some(match detail {
        Some(detail) => format!("{sentence} ({detail})"),
        None => sentence.to_owned(),
    })
}

/// A message as its events show it.
#[derive(Clone)]
pub(crate) struct MessageFacts<'a> {
    pub id: MessageId,
    pub session: SessionId,
    pub lane: Option<Lane>,
    pub chat: &'a str,
    pub whatsapp_id: &'a str,
    pub metadata: Option<&'a Value>,
}

/// The events of an outbound message: `queued`, `sent`, `delivered`, `read`, `played`, `failed`.
pub(crate) fn message_status(
    message: &MessageFacts<'_>,
    status: MessageStatus,
    at: Timestamp,
    code: Option<&str>,
) -> Value {
    let mut data = message_base(message);
    data.insert("status".to_owned(), json!(status.as_str()));
    data.insert("at".to_owned(), json!(at.to_string()));
    if let Some(lane) = message.lane {
        data.insert("lane".to_owned(), json!(lane.as_str()));
    }
    if let Some(code) = code {
        data.insert("code".to_owned(), json!(code));
    }
    Value::Object(data)
}

/// What only an inbound message has.
#[derive(Clone, Copy)]
pub(crate) struct InboundFacts<'a> {
    pub sender: &'a str,
    pub sender_phone: Option<&'a str>,
    pub push_name: Option<&'a str>,
    pub from_me: bool,
    pub at: Timestamp,
    pub content: &'a Content,
}

/// `message.received`.
pub(crate) fn message_received(message: &MessageFacts<'_>, inbound: InboundFacts<'_>) -> Value {
    let mut data = message_base(message);
    data.insert("direction".to_owned(), json!("inbound"));
    data.insert("from".to_owned(), json!(inbound.sender));
    data.insert("from_phone".to_owned(), json!(inbound.sender_phone));
    data.insert("from_me".to_owned(), json!(inbound.from_me));
    data.insert("push_name".to_owned(), json!(inbound.push_name));
    data.insert("at".to_owned(), json!(inbound.at.to_string()));
    if let Value::Object(content) = content::to_json(inbound.content) {
        data.extend(content);
    }
    Value::Object(data)
}

fn message_base(message: &MessageFacts<'_>) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("message_id".to_owned(), json!(message.id.to_string()));
    data.insert("session_id".to_owned(), json!(message.session.to_string()));
    data.insert("chat".to_owned(), json!(message.chat));
    data.insert("whatsapp_message_id".to_owned(), json!(message.whatsapp_id));
    if let Some(metadata) = message.metadata {
        data.insert("metadata".to_owned(), metadata.clone());
    }
    data
}

/// The event that a status is told by; `None` for steps that only the timeline shows.
pub(crate) const fn kind_of(status: MessageStatus) -> Option<EventKind> {
    match status {
        MessageStatus::Queued => Some(EventKind::MessageQueued),
        MessageStatus::Sent => Some(EventKind::MessageSent),
        MessageStatus::Delivered => Some(EventKind::MessageDelivered),
        MessageStatus::Read => Some(EventKind::MessageRead),
        MessageStatus::Played => Some(EventKind::MessagePlayed),
        MessageStatus::Failed | MessageStatus::Expired | MessageStatus::Cancelled => Some(EventKind::MessageFailed),
        MessageStatus::Received => Some(EventKind::MessageReceived),
        MessageStatus::Sending => None,
    }
}
