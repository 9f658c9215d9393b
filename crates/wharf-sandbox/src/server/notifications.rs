//! What devices are told without having asked: devices that came or went, collections that moved. Only accounts that
//! asked for a device list hear of its changes; telling everybody would grow with the square of the accounts.

use std::sync::Arc;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::directory::{device_hash, signed_devices};
use crate::clock::unix_seconds;
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::{Account, Addressing, Stanza};
use crate::network::queue::Class;
use crate::wire::node::{encode, server_jid};

pub(crate) fn device_added(network: &Network, account: &Arc<Account>, device: DeviceId, key_index: u32) {
    device_changed(network, account, "add", device, key_index);
}

pub(crate) fn device_removed(network: &Network, account: &Arc<Account>, device: DeviceId, key_index: u32) {
    device_changed(network, account, "remove", device, key_index);
}

fn device_changed(network: &Network, account: &Arc<Account>, what: &'static str, device: DeviceId, key_index: u32) {
    let (watchers, hash, signed) = {
        let mut state = account.state();
        let signed = signed_devices(network, account, &mut state);
        let watchers: Vec<String> = state.watchers.iter().cloned().collect();
        (watchers, device_hash(account, &state), signed)
    };
    let Some(signed) = signed else { return };
    let changed = NodeBuilder::new("device")
        .attr("jid", account.device_jid(Addressing::Number, device))
        .attr("key-index", key_index)
        .build();
    let list = NodeBuilder::new("key-index-list")
        .attr("ts", signed.at)
        .bytes(signed.bytes)
        .build();
    let change = NodeBuilder::new(what)
        .attr("device_hash", hash)
        .children([changed, list])
        .build();
    for watcher in watchers.iter().filter_map(|number| network.directory.by_number(number)) {
        let id = network.stanza_id(&watcher.number);
        let node = notification(account, "devices", &id)
            .attr("lid", account.user_jid(Addressing::Lid))
            .children([change.clone()])
            .build();
        tell_companions(network, &watcher, None, &id, &node);
    }
    tell_own_devices(network, account, device);
}

/// The account's other companions get the whole list.
fn tell_own_devices(network: &Network, account: &Arc<Account>, except: DeviceId) {
    let (hash, signed, devices) = {
        let mut state = account.state();
        let signed = signed_devices(network, account, &mut state);
        let companions = state.devices.values().map(|device| (device.id, device.key_index));
        let devices: Vec<(DeviceId, u32)> = companions.collect();
        (device_hash(account, &state), signed, devices)
    };
    let Some(signed) = signed else { return };
    let phone = NodeBuilder::new("device")
        .attr("jid", account.user_jid(Addressing::Number))
        .build();
    let companions = devices.into_iter().map(|(device, key_index)| {
        NodeBuilder::new("device")
            .attr("jid", account.device_jid(Addressing::Number, device))
            .attr("key-index", key_index)
            .build()
    });
    let list = NodeBuilder::new("key-index-list")
        .attr("ts", signed.at)
        .bytes(signed.bytes)
        .build();
    let children = std::iter::once(phone).chain(companions).chain([list]);
    let devices = NodeBuilder::new("devices")
        .attr("dhash", hash)
        .children(children)
        .build();
    let id = network.stanza_id(&account.number);
    let node = notification(account, "account_sync", &id).children([devices]).build();
    tell_companions(network, account, Some(except), &id, &node);
}

/// Tells the other companions that a collection has a new version.
pub(crate) fn collection_moved(network: &Network, account: &Account, author: DeviceId, name: &str, version: usize) {
    let id = network.stanza_id(&account.number);
    let collection = NodeBuilder::new("collection")
        .attr("name", name)
        .attr("version", version.to_string())
        .build();
    let node = notification(account, "server_sync", &id).children([collection]).build();
    tell_companions(network, account, Some(author), &id, &node);
}

/// Tells all companions of the account, the author too, and those who know it.
pub(super) fn picture_changed(network: &Network, account: &Account, author: DeviceId, picture: Option<&str>) {
    let tag = if picture.is_some() { "set" } else { "delete" };
    let change = NodeBuilder::new(tag).attr("jid", account.user_jid(Addressing::Number));
    let change = match picture {
        Some(picture) => change
            .attr("id", picture)
            .attr("author", account.device_jid(Addressing::Number, author)),
        None => change,
    };
    let change = change.build();
    let watchers: Vec<String> = account.state().watchers.iter().cloned().collect();
    let watchers = watchers.iter().filter_map(|number| network.directory.by_number(number));
    let tell = |told: &Account| {
        let id = network.stanza_id(&told.number);
        let node = notification(account, "picture", &id).children([change.clone()]).build();
        tell_companions(network, told, None, &id, &node);
    };
    tell(account);
    watchers.for_each(|watcher| tell(&watcher));
}

/// Tells every companion that is connected, of whatever account: nobody keeps contacts here, so everybody may be one.
/// O(accounts), and people seldom change what they say about themselves.
pub(super) fn about_changed(network: &Network, account: &Account, text: &str) {
    if account.state().hides("status") {
        return;
    }
    for told in network.directory.all() {
        if !told.state().devices.values().any(|device| device.session.is_some()) {
            continue;
        }
        let id = network.stanza_id(&told.number);
        let set = NodeBuilder::new("set").string_content(text).build();
        let node = notification(account, "status", &id).children([set]).build();
        tell_companions(network, &told, None, &id, &node);
    }
}

/// Tells those who know an account that it has another number.
pub(crate) fn number_changed(network: &Network, old: &Account, new: &Account) {
    let change = NodeBuilder::new("modify")
        .attr("old", old.user_jid(Addressing::Number))
        .attr("new", new.user_jid(Addressing::Number))
        .attr("old_lid", old.user_jid(Addressing::Lid))
        .attr("new_lid", new.user_jid(Addressing::Lid))
        .build();
    let watchers: Vec<String> = old.state().watchers.iter().cloned().collect();
    for watcher in watchers.iter().filter_map(|number| network.directory.by_number(number)) {
        let id = network.stanza_id(&watcher.number);
        let node = notification(old, "contacts", &id).children([change.clone()]).build();
        tell_companions(network, &watcher, None, &id, &node);
    }
}

/// Tells the companions of an account that another one gave it a token.
pub(super) fn token_given(network: &Network, giver: &Account, taker: &Account, token: &[u8], at: u64) {
    let id = network.stanza_id(&taker.number);
    let token = NodeBuilder::new("token")
        .attr("type", "trusted_contact")
        .attr("t", at)
        .bytes(token.to_vec());
    let tokens = NodeBuilder::new("tokens").children([token.build()]);
    let node = notification(giver, "privacy_token", &id)
        .attr("sender_lid", giver.user_jid(Addressing::Lid))
        .children([tokens.build()])
        .build();
    tell_companions(network, taker, None, &id, &node);
}

/// Tells the account's companions what changed about the account itself, in the words of a query of theirs.
pub(crate) fn query_changed(network: &Network, account: &Account, operation: &'static str, data: &serde_json::Value) {
    let id = network.stanza_id(&account.number);
    let update = NodeBuilder::new("update")
        .attr("op_name", operation)
        .bytes(serde_json::json!({ "data": data }).to_string().into_bytes());
    let node = NodeBuilder::new("notification")
        .attr("from", server_jid())
        .attr("type", "mex")
        .attr("id", id.as_str())
        .attr("t", unix_seconds())
        .children([update.build()])
        .build();
    tell_companions(network, account, None, &id, &node);
}

fn notification(account: &Account, kind: &'static str, id: &str) -> NodeBuilder {
    NodeBuilder::new("notification")
        .attr("from", account.user_jid(Addressing::Number))
        .attr("type", kind)
        .attr("id", id)
        .attr("t", unix_seconds())
}

pub(crate) fn tell_companions(network: &Network, account: &Account, except: Option<DeviceId>, id: &str, node: &Node) {
    let bytes = encode(node);
    let devices: Vec<DeviceId> = account.state().devices.keys().copied().collect();
    for device in devices.into_iter().filter(|&device| Some(device) != except) {
        let stanza = Stanza {
            class: Class::Notification,
            id: id.to_owned(),
            bytes: bytes.clone(),
            observed: None,
        };
        account.deliver(network, device, &stanza);
    }
}
