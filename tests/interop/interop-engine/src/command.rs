//! What the client is told to do.

use serde::Deserialize;

/// A command, and the number that its answer carries.
#[derive(Debug, Deserialize)]
pub struct Numbered {
    pub n: u64,
    #[serde(flatten)]
    pub command: Command,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Connect; what is stored from before is used.
    Start,
    Stop,
    /// Ask for a code to type on this phone; answers with the code.
    Code {
        phone: String,
    },
    /// Answers with the message's id.
    SendText {
        to: String,
        text: String,
    },
    /// `bytes` in base64. Answers with the message's id.
    SendImage {
        to: String,
        bytes: String,
        caption: String,
    },
    /// Answers with the file of a message that came, in base64.
    File {
        id: String,
    },
    Read {
        id: String,
    },
    /// Answers with the group's JID.
    MakeGroup {
        subject: String,
        members: Vec<String>,
    },
    Logout,
}
