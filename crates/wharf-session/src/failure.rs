//! Why a message will not be sent, as stable codes: the `code` of a message that ended `failed` or `expired`, and of
//! one that waits with `retry_at`.

use std::fmt;
use std::time::Duration;

use crate::port::SendError;

/// The reason beside a `failed`, `expired`, `cancelled` or waiting message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// The number has no WhatsApp account (`not_on_whatsapp`).
    NotOnWhatsApp,
    /// WhatsApp does not let this account write to people who never wrote to it, for a time (ack error 463,
    /// `time_locked`). The message waits with `retry_at` while its time allows.
    TimeLocked,
    /// WhatsApp asks for a slower pace (ack error 429, `rate_limited`). The message waits with `retry_at`.
    RateLimited,
    /// The server refused the message with another code (`rejected_<code>`).
    Rejected(u16),
    /// The engine cannot send this kind of content to that address (`unsendable`).
    Unsendable,
    /// The engine failed again and again (`engine_failed`).
    EngineFailed,
    /// Its time ran out before the server had it (`expired`).
    Expired,
    /// The day's new chats are used up (`new_chat_cap`). Only of messages that wait, never of failed ones.
    NewChatCap,
    /// What was stored for it can no longer be read (`unreadable`).
    Unreadable,
    /// It was taken back before it was sent (`cancelled`), or its one-time code was replaced or came to its end. Where the
    /// status says it already, only in its event.
    Cancelled,
}

impl FailureCode {
    /// Every code, for the docs; [`FailureCode::Rejected`] stands for all of its kind.
    pub const ALL: [Self; 10] = [
        Self::NotOnWhatsApp,
        Self::TimeLocked,
        Self::RateLimited,
        Self::Rejected(0),
        Self::Unsendable,
        Self::EngineFailed,
        Self::Expired,
        Self::NewChatCap,
        Self::Unreadable,
        Self::Cancelled,
    ];

    /// What it means and what follows, for the docs.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NotOnWhatsApp => "The number has no WhatsApp account.",
            Self::TimeLocked => {
                "WhatsApp does not let this account write to people who never wrote to it, for a time (463). The \
                 message waits with `retry_at` while its time allows."
            }
            Self::RateLimited => "WhatsApp asks for a slower pace (429). The message waits with `retry_at`.",
            Self::Rejected(_) => "WhatsApp refused the message with this code of its own.",
            Self::Unsendable => "This kind of content cannot be sent to that address.",
            Self::EngineFailed => {
                "The message could not be encrypted or written. It waits with `retry_at` and fails after several tries."
            }
            Self::Expired => "Its time ran out before WhatsApp had it.",
            Self::NewChatCap => {
                "The day's new chats are used up. The message waits with `retry_at`; it never fails by it."
            }
            Self::Unreadable => "What was stored for it can no longer be read.",
            Self::Cancelled => {
                "It was taken back while it was queued, or its one-time code was replaced or came to its end before it left."
            }
        }
    }

    /// What an ack error of the server means.
    pub const fn from_ack(error: u16) -> Self {
        match error {
            404 => Self::NotOnWhatsApp,
            429 => Self::RateLimited,
            463 => Self::TimeLocked,
            other => Self::Rejected(other),
        }
    }

    /// How long a message that was handed over `attempts` times waits; `None` when waiting cannot help any more.
    pub fn wait(self, attempts: u64) -> Option<Duration> {
        let (first, longest, tries) = match self {
            // A time lock lasts for hours or days: a day of tries tells more than a minute of them.
            Self::TimeLocked => (Duration::from_secs(3600), Duration::from_secs(6 * 3600), 6),
            Self::RateLimited => (Duration::from_secs(60), Duration::from_secs(1800), 10),
            Self::EngineFailed => (Duration::from_secs(5), Duration::from_secs(300), 6),
            Self::NotOnWhatsApp
            | Self::Rejected(_)
            | Self::Unsendable
            | Self::Expired
            | Self::NewChatCap
            | Self::Unreadable
            | Self::Cancelled => return None,
        };
        let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(10);
        (attempts < tries).then(|| (first * (1 << doublings)).min(longest))
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnWhatsApp => "not_on_whatsapp",
            Self::TimeLocked => "time_locked",
            Self::RateLimited => "rate_limited",
            Self::Rejected(code) => return write!(f, "rejected_{code}"),
            Self::Unsendable => "unsendable",
            Self::EngineFailed => "engine_failed",
            Self::Expired => "expired",
            Self::NewChatCap => "new_chat_cap",
            Self::Unreadable => "unreadable",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What a failed write means; `None`: the message simply waits for the next connection.
pub(crate) fn of_send_error(error: &SendError) -> Option<FailureCode> {
    match error {
        SendError::NotConnected => None,
        SendError::NotOnWhatsApp => Some(FailureCode::NotOnWhatsApp),
        SendError::Unsendable(_) => Some(FailureCode::Unsendable),
        SendError::Engine(_) => Some(FailureCode::EngineFailed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable() {
        let codes = [404, 429, 463, 479].map(|error| FailureCode::from_ack(error).to_string());
        assert_eq!(
            codes,
            ["not_on_whatsapp", "rate_limited", "time_locked", "rejected_479"]
        );
    }

    #[test]
    fn what_passes_is_tried_again_and_not_for_ever() {
        let waits: Vec<_> = (0..7).map(|attempts| FailureCode::TimeLocked.wait(attempts)).collect();
        assert_eq!(waits[0], Some(Duration::from_secs(3600)));
        assert_eq!(waits[5], Some(Duration::from_secs(6 * 3600)));
        assert_eq!(waits[6], None);
        assert_eq!(FailureCode::Rejected(479).wait(0), None);
        assert_eq!(FailureCode::NotOnWhatsApp.wait(0), None);
    }
}
