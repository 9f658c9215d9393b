//! Greets a new companion: the app-state key first, then notices that there is no history (protocol brief,
//! section 11). Without the first whatsapp-rust waits 10 s; without the others Baileys holds all events for 20 s.

use std::io::Write as _;
use std::sync::Arc;

use buffa::{Message as _, MessageField};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use rand::rngs::StdRng;
use wacore_appstate::expand_app_state_keys;
use wacore_appstate::hash::{HashState, generate_patch_mac};
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId, AppStateSyncKeyShare,
    HistorySyncNotification, HistorySyncType, ProtocolMessage, protocol_message,
};
use waproto::whatsapp::{HistorySync, KeyId, Message, Pushname, SyncActionValue, SyncdPatch, SyncdVersion};
use waproto::whatsapp::{history_sync, sync_action_value, syncd_mutation};

use super::identity::PhoneKeys;
use super::outbox::{envelope, pad, seal, sealed_node};
use super::{Phone, content};
use crate::clock::{unix_millis, unix_seconds};
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::Account;
use crate::server::routing;

/// The collection a companion waits for before it is ready.
pub(crate) const CRITICAL_COLLECTION: &str = "critical_block";

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
    let name = account.state().name.clone();
    for notice in history_notices(account, &name) {
        send_peer(network, account, &mut phone, device, &content::protocol(notice), rng).await;
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

/// The three notices of an account without history. The name of the account itself is in the second one, because
/// whatsapp-rust takes its own push name from there.
fn history_notices(account: &Account, name: &str) -> Vec<ProtocolMessage> {
    let own_name = Pushname {
        id: Some(format!("{}@s.whatsapp.net", account.number)),
        pushname: Some(name.to_owned()),
    };
    let kinds = [
        (
            history_sync::HistorySyncType::INITIAL_BOOTSTRAP,
            HistorySyncType::INITIAL_BOOTSTRAP,
            Vec::new(),
        ),
        (
            history_sync::HistorySyncType::PUSH_NAME,
            HistorySyncType::PUSH_NAME,
            vec![own_name],
        ),
        (
            history_sync::HistorySyncType::RECENT,
            HistorySyncType::RECENT,
            Vec::new(),
        ),
    ];
    kinds
        .into_iter()
        .map(|(inner, outer, names)| history_notice(inner, outer, names))
        .collect()
}

fn history_notice(
    inner: history_sync::HistorySyncType,
    outer: HistorySyncType,
    names: Vec<Pushname>,
) -> ProtocolMessage {
    let history = HistorySync {
        sync_type: inner,
        chunk_order: Some(1),
        progress: Some(100),
        pushnames: names,
        ..Default::default()
    };
    let notification = HistorySyncNotification {
        sync_type: Some(outer),
        chunk_order: Some(1),
        progress: Some(100),
        initial_hist_bootstrap_inline_payload: Some(compress(&history.encode_to_vec())),
        ..Default::default()
    };
    ProtocolMessage {
        r#type: Some(protocol_message::Type::HISTORY_SYNC_NOTIFICATION),
        history_sync_notification: MessageField::some(notification),
        ..Default::default()
    }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing into a vector cannot fail.
    let _written = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Version 1 of the critical collection: the account's push name, sealed with the phone's app-state key. A companion
/// that finds the collection empty is told so by Baileys and whatsapp-rust alike, but only this gives it its name.
pub(crate) fn genesis_patch(keys: &PhoneKeys, name: &str) -> Vec<u8> {
    let expanded = expand_app_state_keys(&keys.sync_key);
    let value = SyncActionValue {
        push_name_setting: MessageField::some(sync_action_value::PushNameSetting {
            name: Some(name.to_owned()),
        }),
        timestamp: Some(i64::try_from(unix_seconds()).unwrap_or(i64::MAX)),
        ..Default::default()
    };
    let iv = *b"wharf-sandbox-iv";
    let (mutation, _mac) = wacore_appstate::encode_record(
        syncd_mutation::SyncdOperation::SET,
        b"[\"setting_pushName\"]",
        &value,
        &expanded,
        &keys.sync_key_id,
        &iv,
        1,
    );
    let mut hash = HashState {
        version: 1,
        ..Default::default()
    };
    // The collection was empty, so no mutation replaces an earlier value.
    let _no_removals = hash.update_hash(std::slice::from_ref(&mutation), |_, _| Ok(None));
    let snapshot_mac = hash.generate_snapshot_mac(CRITICAL_COLLECTION, &expanded.snapshot_mac);
    let mut patch = SyncdPatch {
        version: MessageField::some(SyncdVersion { version: Some(1) }),
        mutations: vec![mutation],
        snapshot_mac: Some(snapshot_mac),
        key_id: MessageField::some(KeyId {
            id: Some(keys.sync_key_id.to_vec()),
        }),
        ..Default::default()
    };
    let patch_mac = generate_patch_mac(&patch, CRITICAL_COLLECTION, &expanded.patch_mac, 1);
    patch.patch_mac = Some(patch_mac);
    patch.encode_to_vec()
}
