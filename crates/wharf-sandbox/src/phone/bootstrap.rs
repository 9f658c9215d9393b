//! Greets a new companion: the app-state key first, then the history (protocol brief, section 11). Without the first
//! whatsapp-rust waits 10 s; without the others Baileys holds all events for 20 s.

use std::sync::Arc;

use buffa::MessageField;
use rand::rngs::StdRng;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId, AppStateSyncKeyShare,
    ProtocolMessage, protocol_message,
};

use super::identity::PhoneKeys;
use super::outbox::{envelope, pad, seal, sealed_node};
use super::{Phone, content, history};
use crate::clock::unix_millis;
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::Account;
use crate::server::routing;

/// Greets one companion that waits for it; false when none does.
pub(super) async fn greet_next(network: &Network, account: &Arc<Account>, rng: &mut StdRng) -> bool {
    let waiting = account
        .state()
        .devices
        .values()
        .find(|device| device.awaits_bootstrap())
        .map(|device| device.id);
    let Some(device) = waiting else { return false };
    let mut phone = account.phone.lock().await;
    share_key(network, account, &mut phone, device, rng).await;
    match history::notices(network, account, &phone, rng) {
        Ok(notices) => {
            for notice in notices {
                send_peer(network, account, &mut phone, device, &content::protocol(notice), rng).await;
            }
        }
        Err(failure) => tracing::warn!(error = %failure, "a phone could not tell a companion of the past"),
    }
    drop(phone);
    mark_greeted(network, account, device);
    true
}

fn mark_greeted(network: &Network, account: &Account, id: DeviceId) {
    let mut state = account.state();
    if let Some(device) = state.devices.get_mut(&id) {
        device.bootstrapped = true;
        let mut batch = network.store.batch();
        account.save_device(device, &mut batch);
        network.store.submit(batch);
    }
}

/// Sends the app-state key, at the start and whenever a companion asks for it.
pub(super) async fn share_key(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    device: DeviceId,
    rng: &mut StdRng,
) {
    let share = {
        let state = account.state();
        let indexes = state.devices.values().map(|device| device.key_index);
        key_share(
            &account.keys,
            std::iter::once(0).chain(indexes).collect(),
            state.next_key_index.saturating_sub(1),
        )
    };
    send_peer(network, account, phone, device, &content::protocol(share), rng).await;
}

async fn send_peer(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    device: DeviceId,
    message: &Message,
    rng: &mut StdRng,
) {
    let plaintext = pad(message);
    let sealed = match seal(network, phone, account, device, &plaintext, rng).await {
        Ok(sealed) => sealed,
        Err(failure) => return tracing::warn!(error = %failure, "a phone could not greet a companion"),
    };
    let id = network.stanza_id(&account.number);
    phone.remember_peer_message(&id, &plaintext);
    let mut batch = network.store.batch();
    phone.signal.save(&account.number, &mut batch);
    network.store.submit(batch);
    routing::deliver(
        network,
        &envelope(account, None, &id),
        account,
        device,
        &[sealed_node(&sealed, 0)],
    );
}

fn key_share(keys: &PhoneKeys, indexes: Vec<u32>, current: u32) -> ProtocolMessage {
    let data = AppStateSyncKeyData {
        key_data: Some(keys.sync_key.to_vec()),
        fingerprint: MessageField::some(AppStateSyncKeyFingerprint {
            raw_id: Some(keys.raw_id),
            current_index: Some(current),
            device_indexes: indexes,
        }),
        timestamp: Some(i64::try_from(unix_millis()).unwrap_or(i64::MAX)),
    };
    let key = AppStateSyncKey {
        key_id: MessageField::some(AppStateSyncKeyId {
            key_id: Some(keys.sync_key_id.to_vec()),
        }),
        key_data: MessageField::some(data),
    };
    ProtocolMessage {
        r#type: Some(protocol_message::Type::APP_STATE_SYNC_KEY_SHARE),
        app_state_sync_key_share: MessageField::some(AppStateSyncKeyShare { keys: vec![key] }),
        ..Default::default()
    }
}
