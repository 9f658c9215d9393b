//! One linked device as the server knows it: the key it logs in with, the keys it uploaded, what waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::queue::Queue;
use super::session::Session;
use crate::model::DeviceId;

/// A public pre-key with the 3-byte id it goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OneTimeKey {
    pub id: [u8; 3],
    pub public: [u8; 32],
}

#[derive(Debug, Clone)]
pub(crate) struct SignedKey {
    pub id: [u8; 3],
    pub public: [u8; 32],
    pub signature: [u8; 64],
}

#[derive(Debug)]
pub(crate) struct Device {
    pub id: DeviceId,
    pub key_index: u32,
    /// The Noise static key of the link: whoever proves it is this device, nobody else.
    pub noise: [u8; 32],
    pub identity: [u8; 32],
    pub registration: u32,
    pub signed_key: SignedKey,
    /// The encoded `ADVSignedDeviceIdentity`, account key included, as others get it with a bundle.
    pub identity_blob: Vec<u8>,
    pub platform: String,
    /// The phone has sent it the app-state key and the history notices.
    pub bootstrapped: bool,
    pub one_time_keys: VecDeque<OneTimeKey>,
    /// What it is told at every login to fetch anew, until it says that it did: kind, and when it was marked, in seconds
    /// since 1970.
    pub dirty: BTreeMap<String, u64>,
    pub queue: Queue,
    pub session: Option<Arc<Session>>,
}

impl Device {
    /// Whether the phone may greet it: it asked for its queue and others can reach it with pre-keys.
    pub(crate) fn awaits_bootstrap(&self) -> bool {
        let active = self.session.as_ref().is_some_and(|session| session.is_active());
        !self.bootstrapped && active && !self.one_time_keys.is_empty()
    }
}

/// A key bundle to start a Signal session with.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub registration: u32,
    pub identity: [u8; 32],
    pub signed_key: SignedKey,
    pub one_time_key: Option<OneTimeKey>,
    /// Present for companions only.
    pub identity_blob: Option<Vec<u8>>,
}
