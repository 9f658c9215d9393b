//! What the sandbox tells the outside about phones, chats and changes. Plain data, no protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::network::contacts::ContactRules;

/// The number a linked device has inside its account; 0 is the phone itself.
pub type DeviceId = u16;

/// A phone to create. Without a number one is made up; without a name the number is the name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewPhone {
    pub phone: Option<String>,
    pub name: Option<String>,
    /// It reads and keeps what comes, and confirms nothing: no receipt, no question for another copy, no availability.
    pub silent: bool,
    /// Companions are linked only after they got its passkey's signature ([`crate::Sandbox::sign_with_passkey`]).
    pub passkey: bool,
    /// How strangers of its account are treated.
    pub rules: ContactRules,
}

/// One account of the simulated network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PhoneInfo {
    /// Digits only, as in international form without the plus.
    pub phone: String,
    /// The account's hidden identifier, digits only.
    pub lid: String,
    pub name: String,
}

/// An account with what is linked to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PhoneDetail {
    #[serde(flatten)]
    pub info: PhoneInfo,
    pub online: bool,
    /// The network locks the account out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ban: Option<Ban>,
    /// What the phone shows while a companion links by passkey: the companion must show the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linking_code: Option<String>,
    pub devices: Vec<LinkedDevice>,
}

/// What a passkey's signature is told by (Web Authentication Level 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyAssertion {
    pub credential_id: Vec<u8>,
    /// JSON, as browsers make it.
    pub json: Vec<u8>,
}

/// Why an account's companions cannot log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    /// 402 for a time, 403 for good.
    pub code: u16,
    /// The end of a 402, in seconds since 1970.
    pub until: Option<u64>,
}

/// A companion of a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LinkedDevice {
    pub device: DeviceId,
    /// What the client called itself when it linked.
    pub platform: String,
    pub online: bool,
}

/// A conversation as the phone shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Chat {
    /// The other account's phone number, or the JID of a group.
    pub chat: String,
    pub name: String,
    pub messages: Vec<Message>,
}

/// A message the phone decrypted or sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: String,
    pub from_me: bool,
    /// The phone number of the author.
    pub from: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// What the message says: its text, the caption of a file, the name of a place.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileInfo>,
    /// The id of the message that this one answers, reacts to, changes, takes back or votes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The phone numbers of those who are mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// Seconds after which it disappears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u32>,
    /// What a poll lets people choose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<PollOption>,
    /// Reactions to it, by phone number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reactions: BTreeMap<String, String>,
    /// Its author changed the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// It was taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
    /// Milliseconds since 1970; RFC 3339 in JSON.
    #[serde(with = "crate::clock::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: u64,
    pub status: MessageStatus,
}

/// One answer of a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PollOption {
    pub name: String,
    /// The phone numbers of those who chose it.
    pub voters: Vec<String>,
}

/// Something to say. Ids name messages of the same chat.
#[derive(Debug, Clone, PartialEq)]
pub enum NewMessage {
    Text {
        text: String,
        /// The id of the message that it answers.
        reply_to: Option<String>,
        /// Phone numbers.
        mentions: Vec<String>,
        /// Seconds after which it disappears.
        expires_in: Option<u32>,
    },
    File(NewFile),
    Location(NewLocation),
    Contact(NewContact),
    Poll(NewPoll),
    Vote(NewVote),
    Reaction(NewReaction),
    Edit(NewEdit),
    Revoke(NewRevoke),
}

/// A place, in degrees.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLocation {
    pub latitude: f64,
    pub longitude: f64,
    pub name: Option<String>,
}

/// A person of the address book.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    pub name: String,
    pub phone: String,
}

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPoll {
    pub name: String,
    pub options: Vec<String>,
    /// How many options one person may choose; 0 for as many as there are.
    #[serde(default)]
    pub choose: u32,
}

/// Replaces an earlier vote of the same person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVote {
    /// The poll.
    pub message: String,
    /// Names of its options.
    pub options: Vec<String>,
}

/// Replaces an earlier reaction of the same person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReaction {
    pub message: String,
    /// An empty one takes the reaction back.
    pub emoji: String,
}

/// Another text for an own message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEdit {
    pub message: String,
    pub text: String,
}

/// Takes an own message back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRevoke {
    pub message: String,
}

impl From<&str> for NewMessage {
    fn from(text: &str) -> Self {
        Self::Text {
            text: text.to_owned(),
            reply_to: None,
            mentions: Vec::new(),
            expires_in: None,
        }
    }
}

/// What the other side sees while somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Typing {
    Composing,
    /// Speaks into the phone.
    Recording,
    Paused,
}

/// A group to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewGroup {
    pub subject: String,
    /// Numbers or JIDs, beside the phone that makes it.
    pub members: Vec<String>,
}

/// What a phone does to members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupChange {
    Add,
    Remove,
    Promote,
    Demote,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupInfo {
    /// Its JID.
    pub group: String,
    pub subject: String,
    pub description: Option<String>,
    pub members: Vec<GroupMember>,
    /// Numbers of those who wait to be let in.
    pub requests: Vec<String>,
    /// The code of its link.
    pub invite: String,
    /// Only admins change subject, description and settings.
    pub locked: bool,
    /// Only admins send.
    pub announcement: bool,
    /// Who joins by the link has to be let in.
    pub approval: bool,
    /// Seconds after which messages disappear; 0 for never.
    pub ephemeral: u32,
}

/// An account in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupMember {
    pub phone: String,
    pub admin: bool,
    /// Who made the group.
    pub owner: bool,
}

/// The file of a message, as its author described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileInfo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its media type.
    pub mime: String,
    /// Its length in bytes.
    pub size: u64,
}

/// A file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    pub kind: FileKind,
    pub bytes: Vec<u8>,
    /// The usual media type of its kind when there is none.
    pub mime: Option<String>,
    /// Shown with images, videos and documents.
    pub caption: Option<String>,
    /// Shown with documents.
    pub name: Option<String>,
}

/// What clients show a file as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    Image,
    Video,
    Audio,
    /// Audio that was spoken into the phone.
    Voice,
    Document,
    Sticker,
}

/// How far a message has come. The order of the variants is the order of the ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    #[default]
    Sent,
    Delivered,
    Read,
}

/// A question of a client that the sandbox does not imitate, and how often it was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unhandled {
    pub question: String,
    pub count: u64,
}

/// Something changed; ask again if you show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub phone: String,
    #[serde(flatten)]
    pub what: Changed,
}

/// What changed about a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Changed {
    /// Created, renamed, went online or offline, was banned or forgiven.
    Phone,
    /// A device was linked or removed, connected or went away.
    Devices,
    /// A message arrived or its status moved.
    Chat { chat: String },
    /// Somebody writes to the phone in a chat.
    Typing { chat: String, typing: Typing },
}
