//! One call of each method, and how histories of them are drawn: from so few names that they meet.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::select;
use wacore::appstate::hash::HashState;
use wacore::store::Device;
use wacore::store::traits::{
    AppStateSyncKey, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry, PendingInboundKey,
    PendingInboundRow, TcTokenEntry,
};
use wacore_appstate::processor::AppStateMutationMAC;

type Name = String;
type Value = Vec<u8>;

#[derive(Clone, Debug)]
pub(super) enum Op {
    PutIdentity(Name, [u8; 32]),
    PutIdentities(Vec<(Name, [u8; 32])>),
    LoadIdentity(Name),
    DeleteIdentity(Name),
    GetSession(Name),
    PutSession(Name, Value),
    PutSessions(Vec<(Name, Value)>),
    DeleteSession(Name),
    HasSession(Name),
    HasUser(Name),
    StorePreKey(u32, Value, bool),
    StorePreKeys(Vec<(u32, Value)>, bool),
    LoadPreKey(u32),
    LoadPreKeys(Vec<u32>),
    MarkUploaded(Vec<u32>),
    RemovePreKey(u32),
    MaxPreKey,
    StoreSigned(u32, Value),
    LoadSigned(u32),
    AllSigned,
    RemoveSigned(u32),
    PutSenderKey(Name, Value),
    PutSenderKeys(Vec<(Name, Value)>),
    GetSenderKey(Name),
    DeleteSenderKey(Name),
    SetSyncKey(Value, Value),
    GetSyncKey(Value),
    LatestSyncKey,
    SetVersion(Name, u64),
    GetVersion(Name),
    PutMacs(Name, Vec<(u8, Value)>),
    GetMac(Name, u8),
    GetMacs(Name, Vec<u8>),
    DeleteMacs(Name, Vec<u8>),
    ClearMacs(Name),
    SetHolders(Name, Vec<(Name, bool)>),
    GetHolders(Name),
    ClearHolders(Name),
    DeleteHolders(Vec<Name>),
    ClearAllHolders,
    PutMapping(u8, u8),
    PutMappings(Vec<(u8, u8)>),
    GetByLid(u8),
    GetByPhone(u8, u8),
    AllMappings,
    SaveBaseKey(Name, Name, Value),
    SameBaseKey(Name, Name, Value),
    DeleteBaseKey(Name, Name),
    UpdateDevices(Name, u32),
    UpdateManyDevices(Vec<(Name, u32)>),
    GetDevices(Name),
    DeleteDevices(Name),
    PutGroup(Name, Value),
    GetGroup(Name),
    DeleteGroup(Name),
    PutToken(Name, Value, i64, Option<i64>),
    GetToken(Name),
    DeleteToken(Name),
    AllTokens,
    ExpireTokens(i64, i64),
    TouchToken(Name, i64),
    ReceiveToken(Name, Value, i64),
    StoreSent(Name, Name, Value),
    TakeSent(Name, Name),
    ExpireSent(i64),
    StorePending(Name, Name, Name, Value),
    StorePendings(Vec<(Name, Name, Name, Value)>),
    GetPending(Name, Name, Name),
    DeletePending(Name, Name, Name),
    DeletePendings(Vec<(Name, Name, Name)>),
    ExpirePending(i64),
    PutSecret(Name, Name, Name, [u8; 32]),
    PutSecrets(Vec<(Name, Name, [u8; 32], i64, i64)>),
    GetSecret(Name, Name, Name),
    ExpireSecrets(i64),
    CreateDevice,
    SaveDevice(Name),
    LoadDevice,
    DeviceExists,
}

fn address() -> impl Strategy<Value = Name> {
    select(vec![
        "15550000001@s.whatsapp.net",
        "15550000001:2@s.whatsapp.net",
        "15550000002@s.whatsapp.net",
        "15550000011:3@s.whatsapp.net",
        "100000000000001:1@lid",
        "100000000000001@lid.0",
    ])
    .prop_map(str::to_owned)
}

fn user() -> impl Strategy<Value = Name> {
    select(vec![
        "15550000001",
        "1555000000",
        "15550000002",
        "100000000000001",
        "nobody",
        "",
    ])
    .prop_map(str::to_owned)
}

fn group() -> impl Strategy<Value = Name> {
    select(vec!["120363000000000001@g.us", "120363000000000002@g.us"]).prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = Name> {
    select(vec!["a", "ab", "b", ""]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    prop::collection::vec(any::<u8>(), 0..5)
}

fn key() -> impl Strategy<Value = [u8; 32]> {
    any::<u8>().prop_map(|byte| [byte; 32])
}

fn id() -> impl Strategy<Value = u32> {
    select(vec![0, 1, 2, 7, 255, 256, 0x00ff_ffff])
}

fn moment() -> impl Strategy<Value = i64> {
    select(vec![0, 1, 1000, 2000, 3000, 4_000_000_000])
}

/// All of the past, or none of it: the two stores have clocks of their own.
fn cutoff() -> impl Strategy<Value = i64> {
    select(vec![0, 4_000_000_000])
}

fn several<T: std::fmt::Debug>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(one, 0..4)
}

pub(super) fn history() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..60)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        signal().boxed(),
        keys().boxed(),
        app_sync().boxed(),
        protocol().boxed(),
        messages().boxed()
    ]
}

fn signal() -> impl Strategy<Value = Op> {
    prop_oneof![
        (address(), key()).prop_map(|(a, k)| Op::PutIdentity(a, k)),
        several((address(), key())).prop_map(Op::PutIdentities),
        address().prop_map(Op::LoadIdentity),
        address().prop_map(Op::DeleteIdentity),
        address().prop_map(Op::GetSession),
        (address(), value()).prop_map(|(a, v)| Op::PutSession(a, v)),
        several((address(), value())).prop_map(Op::PutSessions),
        address().prop_map(Op::DeleteSession),
        address().prop_map(Op::HasSession),
        user().prop_map(Op::HasUser),
    ]
}

fn keys() -> impl Strategy<Value = Op> {
    prop_oneof![
        (id(), value(), any::<bool>()).prop_map(|(i, v, u)| Op::StorePreKey(i, v, u)),
        (several((id(), value())), any::<bool>()).prop_map(|(k, u)| Op::StorePreKeys(k, u)),
        id().prop_map(Op::LoadPreKey),
        several(id()).prop_map(Op::LoadPreKeys),
        several(id()).prop_map(Op::MarkUploaded),
        id().prop_map(Op::RemovePreKey),
        Just(Op::MaxPreKey),
        (id(), value()).prop_map(|(i, v)| Op::StoreSigned(i, v)),
        id().prop_map(Op::LoadSigned),
        Just(Op::AllSigned),
        id().prop_map(Op::RemoveSigned),
        (address(), value()).prop_map(|(a, v)| Op::PutSenderKey(a, v)),
        several((address(), value())).prop_map(Op::PutSenderKeys),
        address().prop_map(Op::GetSenderKey),
        address().prop_map(Op::DeleteSenderKey),
        Just(Op::CreateDevice),
        name().prop_map(Op::SaveDevice),
        Just(Op::LoadDevice),
        Just(Op::DeviceExists),
    ]
}

fn app_sync() -> impl Strategy<Value = Op> {
    prop_oneof![
        (value(), value()).prop_map(|(i, v)| Op::SetSyncKey(i, v)),
        value().prop_map(Op::GetSyncKey),
        Just(Op::LatestSyncKey),
        (name(), any::<u64>()).prop_map(|(n, v)| Op::SetVersion(n, v)),
        name().prop_map(Op::GetVersion),
        (name(), several((0..4u8, value()))).prop_map(|(n, m)| Op::PutMacs(n, m)),
        (name(), 0..4u8).prop_map(|(n, m)| Op::GetMac(n, m)),
        (name(), several(0..4u8)).prop_map(|(n, m)| Op::GetMacs(n, m)),
        (name(), several(0..4u8)).prop_map(|(n, m)| Op::DeleteMacs(n, m)),
        name().prop_map(Op::ClearMacs),
    ]
}

fn protocol() -> impl Strategy<Value = Op> {
    prop_oneof![
        (group(), several((address(), any::<bool>()))).prop_map(|(g, d)| Op::SetHolders(g, d)),
        group().prop_map(Op::GetHolders),
        group().prop_map(Op::ClearHolders),
        several(address()).prop_map(Op::DeleteHolders),
        Just(Op::ClearAllHolders),
        (0..3u8, 0..2u8).prop_map(|(l, p)| Op::PutMapping(l, p)),
        several((0..3u8, 0..2u8)).prop_map(Op::PutMappings),
        (0..3u8).prop_map(Op::GetByLid),
        (0..3u8, 0..2u8).prop_map(|(l, p)| Op::GetByPhone(l, p)),
        Just(Op::AllMappings),
        (address(), name(), value()).prop_map(|(a, m, v)| Op::SaveBaseKey(a, m, v)),
        (address(), name(), value()).prop_map(|(a, m, v)| Op::SameBaseKey(a, m, v)),
        (address(), name()).prop_map(|(a, m)| Op::DeleteBaseKey(a, m)),
        (user(), id()).prop_map(|(u, d)| Op::UpdateDevices(u, d)),
        several((user(), id())).prop_map(Op::UpdateManyDevices),
        user().prop_map(Op::GetDevices),
        user().prop_map(Op::DeleteDevices),
        (group(), value()).prop_map(|(g, v)| Op::PutGroup(g, v)),
        group().prop_map(Op::GetGroup),
        group().prop_map(Op::DeleteGroup),
    ]
}

fn messages() -> impl Strategy<Value = Op> {
    prop_oneof![
        (address(), value(), moment(), prop::option::of(moment())).prop_map(|(a, v, t, s)| Op::PutToken(a, v, t, s)),
        address().prop_map(Op::GetToken),
        address().prop_map(Op::DeleteToken),
        Just(Op::AllTokens),
        (moment(), moment()).prop_map(|(t, s)| Op::ExpireTokens(t, s)),
        (address(), moment()).prop_map(|(a, t)| Op::TouchToken(a, t)),
        (address(), value(), moment()).prop_map(|(a, v, t)| Op::ReceiveToken(a, v, t)),
        (address(), name(), value()).prop_map(|(c, i, v)| Op::StoreSent(c, i, v)),
        (address(), name()).prop_map(|(c, i)| Op::TakeSent(c, i)),
        cutoff().prop_map(Op::ExpireSent),
        (address(), address(), name(), value()).prop_map(|(c, s, i, v)| Op::StorePending(c, s, i, v)),
        several((address(), address(), name(), value())).prop_map(Op::StorePendings),
        (address(), address(), name()).prop_map(|(c, s, i)| Op::GetPending(c, s, i)),
        (address(), address(), name()).prop_map(|(c, s, i)| Op::DeletePending(c, s, i)),
        several((address(), address(), name())).prop_map(Op::DeletePendings),
        cutoff().prop_map(Op::ExpirePending),
        (name(), name(), name(), key()).prop_map(|(c, s, i, k)| Op::PutSecret(c, s, i, k)),
        several((name(), name(), key(), moment(), moment())).prop_map(Op::PutSecrets),
        (name(), name(), name()).prop_map(|(c, s, i)| Op::GetSecret(c, s, i)),
        moment().prop_map(Op::ExpireSecrets),
    ]
}

/// A mapping whose phone no other LID ever has: for shared phones the oracle forgets what its own contract promises,
/// see `conduct::the_latest_lid_of_a_phone_is_found`.
fn mapping(lid: u8, phone: u8) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: format!("10000000000000{lid}"),
        phone_number: phone_of(lid, phone),
        created_at: 1,
        updated_at: i64::from(phone),
        learning_source: "usync".to_owned(),
    }
}

fn phone_of(lid: u8, phone: u8) -> String {
    format!("1555000{lid}{phone}")
}

fn devices(user: &str, id: u32) -> DeviceListRecord {
    DeviceListRecord {
        user: user.to_owned(),
        devices: vec![
            DeviceInfo::new(0, None),
            DeviceInfo::new(id, Some(id)).with_hosting(true),
        ],
        timestamp: i64::from(id),
        phash: Some("2:abc".to_owned()),
        raw_id: Some(id),
    }
}

/// Every device of the tests has these keys: both stores must be given the same.
static DEVICE: LazyLock<Device> = LazyLock::new(Device::new);

fn mac(byte: u8) -> [u8; 32] {
    [byte; 32]
}

fn shared(pairs: &[(Name, Value)]) -> Vec<(Arc<str>, Bytes)> {
    pairs
        .iter()
        .map(|(name, value)| (Arc::from(name.as_str()), Bytes::copy_from_slice(value)))
        .collect()
}

fn sorted<T: std::fmt::Debug>(items: &[T]) -> String {
    let mut lines: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    lines.sort();
    lines.join("\n")
}

fn show<T: std::fmt::Debug>(result: wacore::store::error::Result<T>) -> String {
    format!("{:?}", result.unwrap())
}

/// Calls the method and says what it answered.
pub(super) async fn apply<B: Backend>(store: &B, op: &Op) -> String {
    match op {
        Op::PutIdentity(a, k) => show(store.put_identity(a, *k).await),
        Op::PutIdentities(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(a, k)| (Arc::from(a.as_str()), *k)).collect();
            show(store.put_identities_batch(&pairs).await)
        }
        Op::LoadIdentity(a) => show(store.load_identity(a).await),
        Op::DeleteIdentity(a) => show(store.delete_identity(a).await),
        Op::GetSession(a) => show(store.get_session(a).await),
        Op::PutSession(a, v) => show(store.put_session(a, v).await),
        Op::PutSessions(pairs) => show(store.put_sessions_batch(&shared(pairs)).await),
        Op::DeleteSession(a) => show(store.delete_session(a).await),
        Op::HasSession(a) => show(store.has_session(a).await),
        Op::HasUser(u) => show(store.has_signal_state_for_user(u).await),
        Op::StorePreKey(i, v, u) => show(store.store_prekey(*i, v, *u).await),
        Op::StorePreKeys(pairs, u) => {
            let pairs: Vec<_> = pairs.iter().map(|(i, v)| (*i, Bytes::copy_from_slice(v))).collect();
            show(store.store_prekeys_batch(&pairs, *u).await)
        }
        Op::LoadPreKey(i) => show(store.load_prekey(*i).await),
        Op::LoadPreKeys(ids) => show(store.load_prekeys_batch(ids).await),
        Op::MarkUploaded(ids) => show(store.mark_prekeys_uploaded(ids).await),
        Op::RemovePreKey(i) => show(store.remove_prekey(*i).await),
        Op::MaxPreKey => show(store.get_max_prekey_id().await),
        Op::StoreSigned(i, v) => show(store.store_signed_prekey(*i, v).await),
        Op::LoadSigned(i) => show(store.load_signed_prekey(*i).await),
        Op::AllSigned => sorted(&store.load_all_signed_prekeys().await.unwrap()),
        Op::RemoveSigned(i) => show(store.remove_signed_prekey(*i).await),
        Op::PutSenderKey(a, v) => show(store.put_sender_key(a, v).await),
        Op::PutSenderKeys(pairs) => show(store.put_sender_keys_batch(&shared(pairs)).await),
        Op::GetSenderKey(a) => show(store.get_sender_key(a).await),
        Op::DeleteSenderKey(a) => show(store.delete_sender_key(a).await),
        Op::CreateDevice => format!("{}", store.create().await.is_ok()),
        Op::SaveDevice(n) => show(
            store
                .save(&Device {
                    push_name: n.clone(),
                    ..DEVICE.clone()
                })
                .await,
        ),
        Op::LoadDevice => show(store.load().await.map(|device| device.map(|device| device.push_name))),
        Op::DeviceExists => show(store.exists().await),
        other => apply_protocol(store, other).await,
    }
}

async fn apply_protocol<B: Backend>(store: &B, op: &Op) -> String {
    match op {
        Op::SetSyncKey(i, v) => {
            let key = AppStateSyncKey {
                key_data: v.clone(),
                fingerprint: i.clone(),
                timestamp: 3,
            };
            show(store.set_sync_key(i, key).await)
        }
        Op::GetSyncKey(i) => show(store.get_sync_key(i).await),
        Op::LatestSyncKey => show(store.get_latest_sync_key_id().await),
        Op::SetVersion(n, v) => show(
            store
                .set_version(
                    n,
                    HashState {
                        version: *v,
                        ..HashState::default()
                    },
                )
                .await,
        ),
        Op::GetVersion(n) => show(store.get_version(n).await),
        Op::PutMacs(n, macs) => {
            let macs = macs.iter().map(|(index, value)| AppStateMutationMAC {
                index_mac: mac(*index).to_vec(),
                value_mac: value.clone(),
            });
            show(store.put_mutation_macs(n, 1, &macs.collect::<Vec<_>>()).await)
        }
        Op::GetMac(n, m) => show(store.get_mutation_mac(n, &mac(*m)).await),
        Op::GetMacs(n, macs) => {
            let macs: Vec<_> = macs.iter().copied().map(mac).collect();
            let found: BTreeMap<_, _> = store.get_mutation_macs(n, &macs).await.unwrap().into_iter().collect();
            format!("{found:?}")
        }
        Op::DeleteMacs(n, macs) => {
            let macs: Vec<_> = macs.iter().map(|m| mac(*m).to_vec()).collect();
            show(store.delete_mutation_macs(n, &macs).await)
        }
        Op::ClearMacs(n) => show(store.clear_mutation_macs(n).await),
        Op::SetHolders(g, holders) => {
            let holders: Vec<_> = holders.iter().map(|(device, has)| (device.as_str(), *has)).collect();
            show(store.set_sender_key_status(g, &holders).await)
        }
        Op::GetHolders(g) => sorted(&store.get_sender_key_devices(g).await.unwrap()),
        Op::ClearHolders(g) => show(store.clear_sender_key_devices(g).await),
        Op::DeleteHolders(devices) => {
            let devices: Vec<_> = devices.iter().map(String::as_str).collect();
            show(store.delete_sender_key_device_rows(&devices).await)
        }
        Op::ClearAllHolders => show(store.clear_all_sender_key_devices().await),
        Op::PutMapping(l, p) => show(store.put_lid_mapping(&mapping(*l, *p)).await),
        Op::PutMappings(pairs) => {
            let entries: Vec<_> = pairs.iter().map(|(l, p)| mapping(*l, *p)).collect();
            show(store.put_lid_mappings(&entries).await)
        }
        Op::GetByLid(l) => show(store.get_lid_mapping(&mapping(*l, 0).lid).await),
        Op::GetByPhone(l, p) => show(store.get_pn_mapping(&phone_of(*l, *p)).await),
        Op::AllMappings => sorted(&store.get_all_lid_mappings().await.unwrap()),
        Op::SaveBaseKey(a, m, v) => show(store.save_base_key(a, m, v).await),
        Op::SameBaseKey(a, m, v) => show(store.has_same_base_key(a, m, v).await),
        Op::DeleteBaseKey(a, m) => show(store.delete_base_key(a, m).await),
        Op::UpdateDevices(u, d) => show(store.update_device_list(devices(u, *d)).await),
        Op::UpdateManyDevices(lists) => {
            let lists = lists.iter().map(|(u, d)| devices(u, *d)).collect();
            show(store.update_device_lists(lists).await)
        }
        Op::GetDevices(u) => show(store.get_devices(u).await),
        Op::DeleteDevices(u) => show(store.delete_devices(u).await),
        Op::PutGroup(g, v) => show(store.put_group_metadata(g, v).await),
        Op::GetGroup(g) => show(store.get_group_metadata(g).await),
        Op::DeleteGroup(g) => show(store.delete_group_metadata(g).await),
        other => apply_messages(store, other).await,
    }
}

async fn apply_messages<B: Backend>(store: &B, op: &Op) -> String {
    match op {
        Op::PutToken(a, v, t, s) => {
            let entry = TcTokenEntry {
                token: v.clone(),
                token_timestamp: *t,
                sender_timestamp: *s,
            };
            show(store.put_tc_token(a, &entry).await)
        }
        Op::GetToken(a) => show(store.get_tc_token(a).await),
        Op::DeleteToken(a) => show(store.delete_tc_token(a).await),
        Op::AllTokens => sorted(&store.get_all_tc_token_jids().await.unwrap()),
        Op::ExpireTokens(t, s) => show(store.delete_expired_tc_tokens(*t, *s).await),
        Op::TouchToken(a, t) => show(store.touch_tc_token_sender_timestamp(a, *t).await),
        Op::ReceiveToken(a, v, t) => show(store.store_received_tc_token(a, v, *t).await),
        Op::StoreSent(c, i, v) => show(store.store_sent_message(c, i, v).await),
        Op::TakeSent(c, i) => show(store.take_sent_message(c, i).await),
        Op::ExpireSent(at) => show(store.delete_expired_sent_messages(*at).await),
        Op::StorePending(c, s, i, v) => show(store.store_pending_inbound(c, s, i, v).await),
        Op::StorePendings(rows) => {
            let rows: Vec<_> = rows
                .iter()
                .map(|(chat, sender, id, message)| PendingInboundRow {
                    chat,
                    sender,
                    id,
                    message,
                })
                .collect();
            show(store.store_pending_inbound_batch(&rows).await)
        }
        Op::GetPending(c, s, i) => show(pending(store, c, s, i).await),
        Op::DeletePending(c, s, i) => show(store.delete_pending_inbound(c, s, i).await),
        Op::DeletePendings(keys) => {
            let keys: Vec<_> = keys
                .iter()
                .map(|(chat, sender, id)| PendingInboundKey { chat, sender, id })
                .collect();
            show(store.delete_pending_inbound_batch(&keys).await)
        }
        Op::ExpirePending(at) => show(store.delete_expired_pending_inbound(*at).await),
        Op::PutSecret(c, s, i, k) => show(store.put_msg_secret(c, s, i, k).await),
        Op::PutSecrets(entries) => {
            let entries = entries
                .iter()
                .map(|(chat, id, secret, expires_at, message_ts)| MsgSecretEntry {
                    chat: Arc::from(chat.as_str()),
                    sender: Arc::from(chat.as_str()),
                    msg_id: Arc::from(id.as_str()),
                    secret: *secret,
                    expires_at: *expires_at,
                    message_ts: *message_ts,
                });
            show(store.put_msg_secrets(entries.collect()).await)
        }
        Op::GetSecret(c, s, i) => {
            let secret = show(store.get_msg_secret(c, s, i).await);
            format!("{secret} {}", show(store.get_msg_secret_with_ts(c, s, i).await))
        }
        Op::ExpireSecrets(at) => show(store.delete_expired_msg_secrets(*at).await),
        other => panic!("no method for {other:?}"),
    }
}

/// What was never stored is no error to the oracle.
async fn pending(
    store: &dyn Backend,
    chat: &str,
    sender: &str,
    id: &str,
) -> wacore::store::error::Result<Option<Vec<u8>>> {
    let found = store.get_pending_inbound(chat, sender, id).await;
    found.or_else(|error| match std::error::Error::source(&error) {
        Some(cause) if cause.to_string().contains("never stored") => Ok(None),
        _ => Err(error),
    })
}
