//! Messages: what they hold, which way they go and how far they have come.

use std::fmt;
use std::str::FromStr;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From us to a person.
    Outbound,
    /// From a person to us.
    Inbound,
}

impl Direction {
    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

impl FromStr for Direction {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "outbound" => Ok(Self::Outbound),
            "inbound" => Ok(Self::Inbound),
            _ => Err(UnknownName("direction")),
        }
    }
}

/// A stored or given name that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {0}")]
pub struct UnknownName(pub &'static str);

/// How far a message has come.
///
/// Outbound: `queued -> sending -> sent -> delivered -> read -> played`, or an end in `failed`, `cancelled` or
/// `expired`. Inbound messages are `received` and stay so. Status never goes back; see [`MessageStatus::accepts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    /// Accepted and durable, not yet on the wire.
    Queued,
    /// Handed to the engine; the server has not acknowledged it.
    Sending,
    /// The server acknowledged it (one tick).
    Sent,
    /// The recipient's device has it (two ticks).
    Delivered,
    /// The recipient saw it (blue ticks).
    Read,
    /// The recipient played it.
    Played,
    /// It will not be sent; the code says why.
    Failed,
    /// Taken back before it was sent.
    Cancelled,
    /// Its time ran out before it was sent.
    Expired,
    /// It came from a person.
    Received,
}

impl MessageStatus {
    /// Every status.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Played,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
        Self::Received,
    ];

    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Received => "received",
        }
    }

    /// Steps along the way; ends have none.
    const fn progress(self) -> Option<u8> {
        match self {
            Self::Queued => Some(0),
            Self::Sending => Some(1),
            Self::Sent => Some(2),
            Self::Delivered => Some(3),
            Self::Read => Some(4),
            Self::Played => Some(5),
            Self::Failed | Self::Cancelled | Self::Expired | Self::Received => None,
        }
    }

    /// Whether nothing can follow.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Played | Self::Failed | Self::Cancelled | Self::Expired | Self::Received
        )
    }

    /// Whether a message may go from this status to `next`.
    ///
    /// Forward steps may skip (a `read` receipt can overtake `delivered`); the one step back is `sending -> queued`,
    /// taken before anything is known to have reached the server. `failed` and `expired` end only what the server has
    /// not acknowledged, `cancelled` only what is still queued.
    pub const fn accepts(self, next: Self) -> bool {
        match (self, next) {
            (Self::Sending, Self::Queued) | (Self::Queued, Self::Cancelled) => true,
            (Self::Queued | Self::Sending, Self::Failed | Self::Expired) => true,
            _ => match (self.progress(), next.progress()) {
                (Some(from), Some(to)) => from < to,
                _ => false,
            },
        }
    }
}

impl fmt::Display for MessageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MessageStatus {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownName("message status"))
    }
}

/// The kinds of content, as the `type` field names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// Plain text.
    Text,
    /// Something that came in and that this version does not show.
    Unsupported,
}

impl ContentKind {
    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Unsupported => "unsupported",
        }
    }
}

impl FromStr for ContentKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "text" => Ok(Self::Text),
            "unsupported" => Ok(Self::Unsupported),
            _ => Err(UnknownName("content type")),
        }
    }
}

/// What a message says.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Plain text.
    Text(TextContent),
    /// Something that came in and that this version does not show; the name of the protocol's field.
    Unsupported(String),
}

/// Plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct TextContent {
    /// The text; at most [`TextContent::MAX_CHARS`] characters.
    pub body: String,
}

impl TextContent {
    /// The longest text that WhatsApp's own apps send.
    pub const MAX_CHARS: usize = 65_536;
}

impl Content {
    /// A text.
    pub fn text(body: impl Into<String>) -> Self {
        Self::Text(TextContent { body: body.into() })
    }

    /// Its kind.
    pub const fn kind(&self) -> ContentKind {
        match self {
            Self::Text(_) => ContentKind::Text,
            Self::Unsupported(_) => ContentKind::Unsupported,
        }
    }
}

/// Logs are written with `Debug`: what people write must not reach them.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({})", self.kind().as_str())
    }
}

/// See [`Content`].
impl fmt::Debug for TextContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextContent({} bytes)", self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_status() -> impl Strategy<Value = MessageStatus> {
        proptest::sample::select(MessageStatus::ALL.to_vec())
    }

    #[test]
    fn a_read_receipt_may_overtake_the_delivery() {
        assert!(MessageStatus::Sent.accepts(MessageStatus::Read));
        assert!(!MessageStatus::Read.accepts(MessageStatus::Delivered));
    }

    #[test]
    fn nothing_ends_a_message_that_the_server_has() {
        for end in [MessageStatus::Failed, MessageStatus::Expired, MessageStatus::Cancelled] {
            assert!(!MessageStatus::Sent.accepts(end), "{end}");
        }
    }

    #[test]
    fn names_read_back() {
        for status in MessageStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }

    proptest! {
        #[test]
        fn status_never_goes_back_once_sent(history in proptest::collection::vec(any_status(), 0..40)) {
            let mut status = MessageStatus::Queued;
            let mut furthest = 0;
            for next in history {
                if status.accepts(next) {
                    status = next;
                }
                if let Some(step) = status.progress() {
                    prop_assert!(step >= furthest || furthest < 2);
                    furthest = furthest.max(step);
                }
            }
        }
    }
}
