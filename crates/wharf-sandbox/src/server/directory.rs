//! What others learn about an account: its devices, signed by the phone, and keys to start a session with.

use wacore_libsignal::protocol::KeyPair;

use crate::clock::unix_seconds;
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::{Account, AccountState, Addressing, SignedDevices};
use crate::network::device::{Bundle, OneTimeKey};
use crate::network::records;
use crate::phone::adv;
use crate::phone::identity::key_id;
use crate::store::Kind;
use crate::wire::certificate::raw_public;

/// Pre-key ids have three bytes.
const MAX_KEY_ID: u32 = 0xff_ffff;

/// Keys to reach a device with. Each call uses up one of its one-time keys, as on the real network; without any left
/// the bundle goes without. `None` when there is no such device.
pub(crate) fn bundle(network: &Network, account: &Account, device: DeviceId) -> Option<Bundle> {
    if device == 0 {
        Some(phone_bundle(network, account))
    } else {
        companion_bundle(network, account, device)
    }
}

/// The phone mints a one-time key for everyone who asks.
fn phone_bundle(network: &Network, account: &Account) -> Bundle {
    let pair = KeyPair::generate(&mut network.rng());
    let mut state = account.state();
    state.next_given_key = if state.next_given_key >= MAX_KEY_ID {
        1
    } else {
        state.next_given_key + 1
    };
    let id = state.next_given_key;
    let private = *pair.private_key.serialize();
    state.given_keys.insert(id, private);
    let mut batch = network.store.batch();
    batch.put(
        Kind::PhoneKey,
        || records::given_key_key(&account.number, id),
        || private.to_vec(),
    );
    account.save(&state, &mut batch);
    network.store.submit(batch);
    Bundle {
        registration: account.keys.registration,
        identity: account.keys.identity_public(),
        signed_key: account.keys.signed_key(),
        one_time_key: Some(OneTimeKey {
            id: key_id(id),
            public: raw_public(&pair),
        }),
        identity_blob: None,
    }
}

fn companion_bundle(network: &Network, account: &Account, device: DeviceId) -> Option<Bundle> {
    let mut state = account.state();
    let found = state.devices.get_mut(&device)?;
    let one_time_key = found.one_time_keys.pop_front();
    let bundle = Bundle {
        registration: found.registration,
        identity: found.identity,
        signed_key: found.signed_key.clone(),
        one_time_key,
        identity_blob: Some(found.identity_blob.clone()),
    };
    if let Some(key) = one_time_key {
        let mut batch = network.store.batch();
        batch.delete(Kind::PreKey, || {
            records::one_time_key_key(&account.number, device, &key)
        });
        network.store.submit(batch);
    }
    Some(bundle)
}

/// The signed device list, made anew after a device came or went.
pub(crate) fn signed_devices(network: &Network, account: &Account, state: &mut AccountState) -> Option<SignedDevices> {
    if let Some(signed) = &state.key_index_list {
        return Some(signed.clone());
    }
    let at = unix_seconds();
    let indexes: Vec<u32> = state.devices.values().map(|device| device.key_index).collect();
    let current = state.next_key_index.saturating_sub(1);
    match adv::sign_key_indexes(&account.keys, &indexes, current, at, &mut network.rng()) {
        Ok(bytes) => {
            let signed = SignedDevices { bytes, at };
            state.key_index_list = Some(signed.clone());
            Some(signed)
        }
        Err(failure) => {
            tracing::error!(error = %failure, "a device list cannot be signed");
            None
        }
    }
}

/// The participant hash over all devices of an account (protocol brief, section 20).
pub(crate) fn device_hash(account: &Account, state: &AccountState) -> String {
    let jids: Vec<_> = state
        .device_ids()
        .into_iter()
        .map(|device| account.device_jid(Addressing::Number, device))
        .collect();
    participant_hash(&jids)
}

pub(crate) fn participant_hash(jids: &[wacore_binary::Jid]) -> String {
    wacore::messages::MessageUtils::participant_list_hash(jids).unwrap_or_default()
}
