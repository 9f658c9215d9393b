//! Lines of the sandbox's raw log, as far as the checker looks at them. Their numbers are left out on purpose: what the
//! checker says must follow from what happened, not from a gap in a count.

use serde::{Deserialize, Serialize};

use super::Millis;

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// When the sandbox saw it.
    pub at: Millis,
    /// What it saw.
    #[serde(flatten)]
    pub what: Observed,
}

/// What the sandbox saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Observed {
    /// A stanza on a connection.
    Stanza(Stanza),
    /// A stanza that a fault took away: it never arrived.
    Lost(Stanza),
    /// A virtual phone's attempt to decrypt one copy.
    Decrypted(Decryption),
    /// A login and how it went.
    Login(Login),
    /// The end of a connection.
    Closed(Closed),
}

/// Which way a stanza went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A client wrote it.
    FromClient,
    /// The server wrote it.
    ToClient,
}

/// A stanza on a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stanza {
    /// The connection.
    pub connection: u64,
    /// The account behind it, once it is known.
    pub phone: Option<String>,
    /// The device behind it.
    pub device: Option<u64>,
    /// Which way.
    pub direction: Direction,
    /// Its name.
    pub tag: String,
    /// Its id.
    pub id: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What an acknowledgement is for.
    pub class: Option<String>,
    /// The error of an acknowledgement, the code of a stream error.
    pub error: Option<String>,
    /// Further ids that a receipt names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_ids: Vec<String>,
    /// The ciphertexts of a message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enc: Vec<Copy>,
}

impl Stanza {
    /// Every id that it names.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.id.iter().chain(&self.more_ids).map(String::as_str)
    }

    /// `NUMBER:DEVICE` of the client.
    pub fn client(&self) -> Option<String> {
        Some(format!("{}:{}", self.phone.as_ref()?, self.device?))
    }

    /// Whether it is a message of a client, as it was on the wire.
    pub fn is_sent_message(&self) -> bool {
        self.tag == "message" && self.direction == Direction::FromClient
    }
}

/// One ciphertext of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copy {
    /// `NUMBER:DEVICE` of the recipient.
    pub recipient: String,
    /// `pkmsg` or `msg`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The sender's ratchet key.
    pub ratchet_key: Option<String>,
    /// Its place in the ratchet.
    pub counter: Option<u32>,
}

/// A virtual phone's attempt to decrypt one copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decryption {
    /// The phone.
    pub phone: String,
    /// `NUMBER:DEVICE` of the sender.
    pub from_device: String,
    /// The message's id.
    pub id: String,
    /// The sender's ratchet key.
    pub ratchet_key: Option<String>,
    /// The place in the ratchet.
    pub counter: Option<u32>,
    /// The message's secret in hexadecimal digits.
    pub secret: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// Why it could not be decrypted.
    pub error: Option<String>,
}

/// A login and how it went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    /// The account.
    pub phone: Option<String>,
    /// The device.
    pub device: Option<u64>,
    /// The connection.
    pub connection: u64,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// The end of a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Closed {
    /// The connection.
    pub connection: u64,
    /// The account.
    pub phone: Option<String>,
    /// The device.
    pub device: Option<u64>,
}
