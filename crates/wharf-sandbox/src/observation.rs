//! What the stanza log holds: every stanza that crossed a connection, every attempt of a virtual phone to decrypt a
//! copy, every login and every end of a connection, in the order the server saw them and before any de-duplication.

use serde::Serialize;

use crate::model::DeviceId;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// Grows by one from line to line, starting at 1 with each start of the sandbox.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: u64,
    #[serde(flatten)]
    pub what: Observed,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Observed {
    /// A client's stanza was read, or the server's was handed to the socket.
    Stanza(Box<SeenStanza>),
    /// A fault took a stanza away, before it was handled or sent.
    Lost(Box<LostStanza>),
    /// A virtual phone tried to decrypt one copy of a message.
    Decrypted(Box<Decryption>),
    /// A client proved a key and asked to be a linked device.
    Login(Login),
    /// A connection is over.
    Closed(Closed),
}

/// Which way a stanza went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    FromClient,
    ToClient,
}

/// A stanza on a connection. Attributes are as they were on the wire; what a stanza does not have is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenStanza {
    pub connection: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    pub direction: Direction,
    pub tag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What an acknowledgement is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The `error` of an acknowledgement, the code of an error answer or of a stream error, the reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The further message ids a receipt names in its list, besides `id`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more_ids: Vec<String>,
    /// The ciphertexts of a message, one for each device it is addressed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enc: Vec<SeenCiphertext>,
}

/// A stanza that a fault took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostStanza {
    /// The number of the rule.
    pub fault: u64,
    #[serde(flatten)]
    pub stanza: SeenStanza,
}

/// One ciphertext, with what the Signal message itself says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenCiphertext {
    /// `NUMBER:DEVICE`, whichever of its two names the account was addressed by; as on the wire if it is unknown.
    pub recipient: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// The sender's ratchet key in hex; not in sender-key messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratchet_key: Option<String>,
    /// Missing when the ciphertext cannot be parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter: Option<u32>,
}

/// A virtual phone's attempt to decrypt one copy, known to it already or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decryption {
    /// The phone that tried.
    pub phone: String,
    /// `NUMBER:DEVICE` of the sender.
    pub from_device: String,
    pub id: String,
    /// The line of the stanza that brought the copy. Missing when a virtual phone sent it, and when the copy waited
    /// in the file while the sandbox was restarted.
    pub stanza: Option<u64>,
    #[serde(rename = "type")]
    pub kind: String,
    pub ratchet_key: Option<String>,
    pub counter: Option<u32>,
    /// `messageContextInfo.messageSecret` in hex.
    pub secret: Option<String>,
    /// What the phone shows of it; missing for messages that no chat shows.
    pub text: Option<String>,
    pub text_sha256: Option<String>,
    pub error: Option<String>,
}

/// A login and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Login {
    /// As the client claims it.
    pub phone: Option<String>,
    pub device: Option<u32>,
    pub connection: u64,
    /// The reason of the refusal.
    pub refused: Option<String>,
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Closed {
    pub connection: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    pub reason: String,
}

/// A part of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StanzaExcerpt {
    /// Lines between the one asked from and the first one here were dropped, because the log was full, or belong to
    /// an earlier start of the sandbox.
    pub missed: bool,
    pub observations: Vec<std::sync::Arc<Observation>>,
}
