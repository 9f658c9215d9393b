//! Credentials in the one form that everything else is converted to and from. Bundles hold it as it is: names of fields
//! stay, and new ones have a default.

use serde::{Deserialize, Serialize};
use wharf_model::Jid;
use zeroize::Zeroizing;

use crate::bundle::octets;

/// A Curve25519 key pair. Whether the halves belong together is for the checks to say.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPair {
    /// The secret half.
    #[serde(with = "octets")]
    pub private: Zeroizing<[u8; 32]>,
    /// The public half, without the type byte that Signal writes before it.
    #[serde(with = "octets")]
    pub public: [u8; 32],
}

/// The pre-key that others start conversations with, signed by the identity key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPreKey {
    /// The id that the server knows it by.
    pub id: u32,
    /// The key itself.
    pub pair: KeyPair,
    /// XEdDSA, of the public half with its type byte.
    #[serde(with = "octets")]
    pub signature: [u8; 64],
}

/// What ties the device to the account (`ADVSignedDeviceIdentity`; protocol brief, sections 5 and 13).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceIdentity {
    /// `ADVDeviceIdentity`, as the phone signed it.
    #[serde(with = "octets")]
    pub details: Vec<u8>,
    /// The phone's identity key.
    #[serde(with = "octets")]
    pub account_key: [u8; 32],
    /// The phone's signature of the device.
    #[serde(with = "octets")]
    pub account_signature: [u8; 64],
    /// The device's signature of the phone.
    #[serde(with = "octets")]
    pub device_signature: [u8; 64],
}

/// Whose credentials these are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The account by phone number.
    #[serde(with = "octets::jid")]
    pub phone: Jid,
    /// The account by hidden id.
    #[serde(with = "octets::jid::maybe")]
    pub lid: Option<Jid>,
    /// Which of the account's companions this is.
    pub device: u16,
    /// What the account calls itself.
    pub name: Option<String>,
}

/// All that is needed to log in as a linked device, and to read and write new messages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The connection's key. The server knows the device by it.
    pub noise: KeyPair,
    /// The device's identity in the Signal protocol.
    pub identity: KeyPair,
    /// See [`SignedPreKey`].
    pub signed_pre_key: SignedPreKey,
    /// The device's number in the Signal protocol.
    pub registration_id: u32,
    /// See [`DeviceIdentity`].
    pub account: DeviceIdentity,
    /// See [`Owner`].
    pub owner: Owner,
    /// What the phone and the device shared while they were linked.
    #[serde(with = "octets::maybe")]
    pub linking_secret: Option<Zeroizing<[u8; 32]>>,
    /// The id of the next one-time pre-key, as far as these credentials know: ids are never used twice.
    pub next_pre_key_id: u32,
    /// Tells the server's front which of its parts serves the account.
    #[serde(with = "octets::maybe")]
    pub routing_info: Option<Vec<u8>>,
}

/// Logs are written with `Debug`: neither keys nor numbers must reach them.
macro_rules! hidden {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

pub(crate) use hidden;

hidden!(KeyPair, SignedPreKey, DeviceIdentity, Owner, Credentials);
