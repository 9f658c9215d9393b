//! What a device keeps beside its credentials, to go on with the conversations that it has. Bundles hold it as it is:
//! names of fields stay, and new ones have a default.

use std::fmt;

use serde::{Deserialize, Serialize};
use wharf_model::Jid;
use zeroize::Zeroizing;

use crate::bundle::octets;
use crate::credentials::{KeyPair, hidden};

/// One device of an account, as the Signal protocol addresses it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The account.
    #[serde(with = "octets::jid")]
    pub jid: Jid,
    /// Which of its devices; 0 is the phone.
    pub device: u16,
}

/// A one-time pre-key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreKey {
    /// The id that the server gave out with it.
    pub id: u32,
    /// The key itself.
    pub pair: KeyPair,
}

/// A conversation with one device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalSession {
    /// Whom with.
    pub with: Address,
    /// A `RecordStructure` of libsignal: ratchets, chains, skipped message keys.
    #[serde(with = "octets")]
    pub record: Zeroizing<Vec<u8>>,
}

/// What a device encrypts with for everybody in a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderKey {
    /// The group.
    #[serde(with = "octets::jid")]
    pub group: Jid,
    /// Whose key it is.
    pub of: Address,
    /// A `SenderKeyRecordStructure` of libsignal.
    #[serde(with = "octets")]
    pub record: Zeroizing<Vec<u8>>,
}

/// The identity key of another device, as it was seen first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Whose.
    pub of: Address,
    /// Without the type byte.
    #[serde(with = "octets")]
    pub key: [u8; 32],
}

/// A key that app state is encrypted with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncKey {
    /// Six bytes: which epoch, which device.
    #[serde(with = "octets")]
    pub id: Vec<u8>,
    /// The key itself.
    #[serde(with = "octets")]
    pub key: Zeroizing<Vec<u8>>,
    /// A protobuf `AppStateSyncKeyFingerprint`.
    #[serde(with = "octets")]
    pub fingerprint: Vec<u8>,
    /// When it was made, in seconds since 1970.
    pub made_at: i64,
}

/// Two names of one account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LidMapping {
    /// By phone number.
    #[serde(with = "octets::jid")]
    pub phone: Jid,
    /// By hidden id.
    #[serde(with = "octets::jid")]
    pub lid: Jid,
}

/// The token of a trusted contact: without it WhatsApp refuses to open a chat more often (error 463).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactToken {
    /// Whose.
    #[serde(with = "octets::jid")]
    pub of: Jid,
    /// As the server gave it.
    #[serde(with = "octets")]
    pub token: Zeroizing<Vec<u8>>,
    /// When it was given, in seconds since 1970.
    pub given_at: i64,
}

/// Everything that came beside the credentials and could be read.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// One-time pre-keys that nobody has used.
    pub pre_keys: Vec<PreKey>,
    /// Conversations.
    pub sessions: Vec<SignalSession>,
    /// Sender keys of groups.
    pub sender_keys: Vec<SenderKey>,
    /// Identities of others.
    pub identities: Vec<Identity>,
    /// Keys of app state.
    pub sync_keys: Vec<SyncKey>,
    /// Phones and their hidden ids.
    pub lid_mappings: Vec<LidMapping>,
    /// Tokens of contacts.
    pub contact_tokens: Vec<ContactToken>,
    /// How many could not be read. What they held is made anew when it is missed.
    pub unreadable: usize,
}

/// Logs are written with `Debug`: how many, and nothing of what.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("pre_keys", &self.pre_keys.len())
            .field("sessions", &self.sessions.len())
            .field("sender_keys", &self.sender_keys.len())
            .field("identities", &self.identities.len())
            .field("sync_keys", &self.sync_keys.len())
            .field("lid_mappings", &self.lid_mappings.len())
            .field("contact_tokens", &self.contact_tokens.len())
            .field("unreadable", &self.unreadable)
            .finish()
    }
}

hidden!(
    SenderKey,
    Address,
    PreKey,
    SignalSession,
    Identity,
    SyncKey,
    LidMapping,
    ContactToken
);
