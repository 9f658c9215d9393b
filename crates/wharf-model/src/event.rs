//! The kinds of event in the log. Their data is made where the change is made; the names are the public contract.

use std::fmt;
use std::str::FromStr;

use crate::message::UnknownName;

/// What happened. The name is `group.what`, and a reader may ask for a whole group with `group.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A session changed its state.
    SessionStatus,
    /// A QR is shown; the event carries its expiry, never its text.
    SessionQr,
    /// A pairing code is shown; the event carries its expiry, never the code.
    SessionPairingCode,
    /// The account's passkey is asked for; the event carries the step, never the challenge or the code.
    SessionPasskey,
    /// An outbound message was accepted.
    MessageQueued,
    /// The server has it.
    MessageSent,
    /// The recipient's device has it.
    MessageDelivered,
    /// The recipient saw it.
    MessageRead,
    /// The recipient played it.
    MessagePlayed,
    /// It will not be sent.
    MessageFailed,
    /// A message came in.
    MessageReceived,
    /// A verification began: its first code was accepted to be sent.
    OtpCreated,
    /// The server has a message with a code.
    OtpSent,
    /// The recipient's device has it.
    OtpDelivered,
    /// No word of its delivery came in time: somebody may want to try another way.
    OtpUndelivered,
    /// The right code came.
    OtpApproved,
    /// A message with a code will not be sent, or no attempts are left; `reason` says which.
    OtpFailed,
    /// A verification's time ran out.
    OtpExpired,
    /// A verification was taken back.
    OtpCancelled,
    /// Codes are refused for a while: of the last ones to neighbouring phones hardly any was used.
    OtpBlocked,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::SessionStatus,
        Self::SessionQr,
        Self::SessionPairingCode,
        Self::SessionPasskey,
        Self::MessageQueued,
        Self::MessageSent,
        Self::MessageDelivered,
        Self::MessageRead,
        Self::MessagePlayed,
        Self::MessageFailed,
        Self::MessageReceived,
        Self::OtpCreated,
        Self::OtpSent,
        Self::OtpDelivered,
        Self::OtpUndelivered,
        Self::OtpApproved,
        Self::OtpFailed,
        Self::OtpExpired,
        Self::OtpCancelled,
        Self::OtpBlocked,
    ];

    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionStatus => "session.status",
            Self::SessionQr => "session.qr",
            Self::SessionPairingCode => "session.pairing_code",
            Self::SessionPasskey => "session.passkey",
            Self::MessageQueued => "message.queued",
            Self::MessageSent => "message.sent",
            Self::MessageDelivered => "message.delivered",
            Self::MessageRead => "message.read",
            Self::MessagePlayed => "message.played",
            Self::MessageFailed => "message.failed",
            Self::MessageReceived => "message.received",
            Self::OtpCreated => "otp.created",
            Self::OtpSent => "otp.sent",
            Self::OtpDelivered => "otp.delivered",
            Self::OtpUndelivered => "otp.undelivered",
            Self::OtpApproved => "otp.approved",
            Self::OtpFailed => "otp.failed",
            Self::OtpExpired => "otp.expired",
            Self::OtpCancelled => "otp.cancelled",
            Self::OtpBlocked => "otp.blocked",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownName("event type"))
    }
}
