//! What can go wrong when the sandbox is driven from outside, with a stable code for each case.

use std::net::SocketAddr;

use crate::fault::InvalidRule;

/// An error of the public API. `code` is stable; the text is for people.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox listens on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the sandbox file cannot be used")]
    Store(#[from] StoreError),
    #[error("there is no phone {0} in this sandbox")]
    UnknownPhone(String),
    #[error("{0} is not a phone number: 7 to 15 digits, not starting with 0")]
    InvalidPhone(String),
    #[error("{0} exists already")]
    PhoneTaken(String),
    #[error("a name has 1 to 64 characters")]
    InvalidName,
    #[error("this is not a linking QR code")]
    InvalidQr,
    #[error("the QR code is unknown, used or its client is gone")]
    UnknownQr,
    #[error("the QR code does not match the keys of the client that showed it")]
    ForeignQr,
    #[error("a linking code has 8 characters, without 0, I, O and U")]
    InvalidLinkingCode,
    #[error("no client waits for a code typed on phone {0}, or its code ran out")]
    NoLinkingCode(String),
    #[error("the client shows another code")]
    WrongLinkingCode,
    #[error("phone {0} is offline; an offline phone cannot link a device")]
    PhoneOffline(String),
    #[error("phone {0} has too many linked devices")]
    TooManyDevices(String),
    #[error("the client refused the link: {0}")]
    LinkRefused(String),
    #[error("the client did not finish linking in time")]
    LinkTimeout,
    #[error("phone {phone} has no linked device {device}")]
    UnknownDevice { phone: String, device: u16 },
    #[error("{0} is not known in this sandbox")]
    UnknownRecipient(String),
    #[error("this cannot be said: {0}")]
    InvalidMessage(&'static str),
    #[error("phone {phone} has no message {message} in that chat")]
    UnknownMessage { phone: String, message: String },
    #[error("a text has 1 to 65536 bytes")]
    InvalidText,
    #[error("a file has 1 byte to 64 MiB")]
    InvalidFile,
    #[error("there is no such message with a file, or its file was given up for newer ones")]
    NoFile,
    #[error("the address of the file ran out")]
    FileExpired,
    #[error("the file cannot be read: {0}")]
    BrokenFile(String),
    #[error("there is no group {0} in this sandbox")]
    UnknownGroup(String),
    #[error("the network refuses: {0}")]
    NotAllowed(String),
    #[error("phone {phone} has no chat {chat}")]
    UnknownChat { phone: String, chat: String },
    #[error("an account is in at most 1000 experiments")]
    InvalidRules,
    #[error("what can be fetched anew is one of: account_sync, groups, syncd_app_state, newsletter_metadata")]
    InvalidDirt,
    #[error("phone {0} has no passkey")]
    NoPasskey(String),
    #[error("the passkey does not sign this: {0}")]
    NotSigned(String),
    #[error("a history has 1 to 10000 chats, and 200000 messages altogether")]
    InvalidHistory,
    #[error("a ban is 402 with an end, or 403 without one")]
    InvalidBan,
    #[error("no such message within the time given")]
    WaitTimeout,
    #[error("the sandbox's file cannot be written any more: nothing is kept or confirmed until it is started again")]
    NotKept,
    #[error("the stanza log is off; start the sandbox with --stanza-log N")]
    StanzaLogOff,
    #[error("the fault makes no sense: {0}")]
    InvalidFault(InvalidRule),
    #[error("there is no fault {0}")]
    UnknownFault(u64),
    #[error("there are too many faults; remove some")]
    TooManyFaults,
    #[error("a key operation failed: {0}")]
    Crypto(String),
}

impl From<wacore_libsignal::protocol::SignalProtocolError> for SandboxError {
    fn from(failure: wacore_libsignal::protocol::SignalProtocolError) -> Self {
        Self::Crypto(failure.to_string())
    }
}

impl SandboxError {
    /// The stable code of this error, as the control API shows it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotLoopback(_) => "not_loopback",
            Self::Listen { .. } => "listen_failed",
            Self::Store(_) | Self::NotKept => "store_failed",
            Self::UnknownPhone(_) => "unknown_phone",
            Self::InvalidPhone(_) => "invalid_phone",
            Self::PhoneTaken(_) => "phone_taken",
            Self::InvalidName => "invalid_name",
            Self::InvalidQr => "invalid_qr",
            Self::UnknownQr => "unknown_qr",
            Self::ForeignQr => "foreign_qr",
            Self::InvalidLinkingCode => "invalid_linking_code",
            Self::NoLinkingCode(_) => "no_linking_code",
            Self::WrongLinkingCode => "wrong_linking_code",
            Self::PhoneOffline(_) => "phone_offline",
            Self::TooManyDevices(_) => "too_many_devices",
            Self::LinkRefused(_) => "link_refused",
            Self::LinkTimeout => "link_timeout",
            Self::UnknownDevice { .. } => "unknown_device",
            Self::UnknownRecipient(_) => "unknown_recipient",
            Self::InvalidMessage(_) => "invalid_message",
            Self::UnknownMessage { .. } => "unknown_message",
            Self::InvalidText => "invalid_text",
            Self::InvalidFile => "invalid_file",
            Self::NoFile => "no_file",
            Self::FileExpired => "file_expired",
            Self::BrokenFile(_) => "broken_file",
            Self::UnknownGroup(_) => "unknown_group",
            Self::NotAllowed(_) => "not_allowed",
            Self::UnknownChat { .. } => "unknown_chat",
            Self::InvalidRules => "invalid_rules",
            Self::InvalidDirt => "invalid_dirt",
            Self::NoPasskey(_) => "no_passkey",
            Self::NotSigned(_) => "not_signed",
            Self::InvalidHistory => "invalid_history",
            Self::InvalidBan => "invalid_ban",
            Self::WaitTimeout => "wait_timeout",
            Self::StanzaLogOff => "stanza_log_off",
            Self::InvalidFault(invalid) => invalid.code(),
            Self::UnknownFault(_) => "unknown_fault",
            Self::TooManyFaults => "too_many_faults",
            Self::Crypto(_) => "crypto_failed",
        }
    }
}

/// Why the file store cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("a record of kind {kind} with key {key} cannot be read: {reason}")]
    Corrupt { kind: u8, key: String, reason: String },
    #[error("the file was written by another version of the sandbox ({found}, this one is {expected})")]
    Version { found: i64, expected: i64 },
    #[error("the writer thread cannot be started")]
    Thread(#[source] std::io::Error),
}
