//! A message as answers show it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wharf_model::{Content, ContentKind, Direction, Lane, MessageStatus};
use wharf_session::MessageView;
use wharf_storage::messages::{TimelineEntry, Wording};

use crate::wire::{MessageIdText, SessionIdText, Time};

/// A text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Text)]
pub(crate) struct TextBody {
    body: String,
}

/// Something that came in and that this version does not show.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Unsupported)]
pub(crate) struct UnsupportedBody {
    /// The protocol's name of it.
    field: String,
}

/// What a message with a one-time password shows instead of its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpWording)]
pub(crate) struct OtpBody {
    /// Which text it is.
    #[schema(example = "default")]
    template: String,
    /// Its language.
    #[schema(example = "en")]
    locale: String,
}

impl From<Wording> for OtpBody {
    fn from(wording: Wording) -> Self {
        Self {
            template: wording.template,
            locale: wording.locale,
        }
    }
}

/// A step of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub(crate) struct TimelineBody {
    status: &'static str,
    at: Time,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<String>,
}

impl From<TimelineEntry> for TimelineBody {
    fn from(entry: TimelineEntry) -> Self {
        Self {
            status: entry.status.as_str(),
            at: Time(entry.at),
            code: entry.code,
        }
    }
}

/// A message, sent or received.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageBody {
    id: MessageIdText,
    session_id: SessionIdText,
    /// `outbound` or `inbound`.
    #[schema(example = "outbound")]
    direction: &'static str,
    /// The chat's jid.
    chat: String,
    /// Outbound: the recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    to: Option<String>,
    /// Inbound: the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from: Option<String>,
    /// `text`, or `unsupported` for what this version does not show.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    kind: &'static str,
    /// The text; missing once it was wiped, and always in lane `otp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    text: Option<TextBody>,
    /// In lane `otp`: which text was sent, and in which language.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    otp: Option<OtpBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    unsupported: Option<UnsupportedBody>,
    /// Outbound: `otp`, `interactive` or `campaign`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lane: Option<&'static str>,
    whatsapp_message_id: String,
    /// `queued`, `sending`, `sent`, `delivered`, `read`, `played`, `failed`, `cancelled`, `expired` or `received`.
    #[schema(example = "queued")]
    status: &'static str,
    /// Why it failed or waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<String>,
    /// Waits until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_at: Option<Time>,
    /// Outbound: not sent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    send_at: Option<Time>,
    /// Not sent after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Time>,
    created_at: Time,
    #[schema(required)]
    sent_at: Option<Time>,
    #[schema(required)]
    delivered_at: Option<Time>,
    #[schema(required)]
    read_at: Option<Time>,
    /// What it was created with.
    #[schema(required, value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Every step; only where one message was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    timeline: Vec<TimelineBody>,
}

impl From<MessageView> for MessageBody {
    fn from(view: MessageView) -> Self {
        let outbound = view.direction == Direction::Outbound;
        let (text, unsupported) = shown(view.content);
        let (to, from) = if outbound { (view.peer, None) } else { (None, view.peer) };
        Self {
            id: MessageIdText(view.id),
            session_id: SessionIdText(view.session_id),
            direction: view.direction.as_str(),
            chat: view.chat,
            to,
            from,
            kind: ContentKind::as_str(view.kind),
            text,
            otp: view.wording.map(OtpBody::from),
            unsupported,
            lane: view.lane.map(Lane::as_str),
            whatsapp_message_id: view.whatsapp_id,
            status: MessageStatus::as_str(view.status),
            code: view.code,
            retry_at: view.retry_at.map(Time),
            send_at: outbound.then_some(Time(view.send_at)),
            expires_at: view.expires_at.map(Time),
            created_at: Time(view.created_at),
            sent_at: view.sent_at.map(Time),
            delivered_at: view.delivered_at.map(Time),
            read_at: view.read_at.map(Time),
            metadata: view.metadata,
            timeline: view.timeline.into_iter().map(TimelineBody::from).collect(),
        }
    }
}

fn shown(content: Option<Content>) -> (Option<TextBody>, Option<UnsupportedBody>) {
    match content {
        Some(Content::Text(text)) => (Some(TextBody { body: text.body }), None),
        Some(Content::Unsupported(field)) => (None, Some(UnsupportedBody { field })),
        None => (None, None),
    }
}
