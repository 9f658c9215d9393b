//! Presence and chat states. They are passed on to who is connected now and written down nowhere; a name in a presence is.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};

use super::{Client, Reply, groups, strangers};
use crate::clock::unix_seconds;
use crate::model::{Changed, DeviceId, Typing};
use crate::network::Network;
use crate::network::account::{Account, AccountState, Addressing};
use crate::network::contacts;
use crate::network::device::Device;
use crate::wire::node::{encode, jid_attr, text_attr};

/// The longest push name a client may set.
const MAX_NAME: usize = 128;
/// Devices that may watch one account.
const MAX_SUBSCRIBERS: usize = 10_000;
/// Chats whose "typing" waits for devices of one account.
const MAX_CHAT_STATES: usize = 100;

pub(super) fn presence(client: &Client, node: &NodeRef<'_>) -> Reply {
    if let Some(name) = text_attr(node, "name").filter(|name| !name.is_empty() && name.len() <= MAX_NAME) {
        rename(client, &name);
    }
    match text_attr(node, "type").as_deref() {
        Some("available") => client.session.set_available(true),
        Some("unavailable") => client.session.set_available(false),
        Some("subscribe") => subscribe(client, node),
        Some("unsubscribe") => unsubscribe(client, jid_attr(node, "to")),
        _ => {}
    }
    availability_changed(&client.network, &client.account);
    Reply::nothing()
}

fn rename(client: &Client, name: &str) {
    let mut state = client.account.state();
    if state.name == name {
        return;
    }
    name.clone_into(&mut state.name);
    let mut batch = client.network.store.batch();
    client.account.save(&state, &mut batch);
    client.network.store.submit(batch);
    drop(state);
    client.network.announce(&client.account.number, Changed::Phone);
}

/// Tells how the account is now, and every change from now on. Strangers of an account that wants none hear nothing.
fn subscribe(client: &Client, node: &NodeRef<'_>) {
    let Some(to) = jid_attr(node, "to").map(|to| to.to_non_ad()) else {
        return;
    };
    let Some(account) = client.network.directory.by_jid(&to) else {
        return;
    };
    if !contacts::lets_through(&account, &client.account, &strangers::shown(node)) {
        return;
    }
    let mut state = account.state();
    client.session.offer(encode(&shown(&state, &to, &client.account)));
    state.told_available = is_available(&state);
    if state.subscribers.len() < MAX_SUBSCRIBERS {
        let subscriber = (client.account.number.clone(), client.device);
        state.subscribers.insert(subscriber, to);
    }
}

fn unsubscribe(client: &Client, to: Option<Jid>) {
    if let Some(account) = to.and_then(|to| client.network.directory.by_jid(&to)) {
        let subscriber = (client.account.number.clone(), client.device);
        account.state().subscribers.remove(&subscriber);
    }
}

/// Tells the subscribers when the account came or went. O(subscribers), and only then.
pub(crate) fn availability_changed(network: &Network, account: &Account) {
    let told: Vec<((String, DeviceId), Jid)> = {
        let mut state = account.state();
        let available = is_available(&state);
        if state.told_available == available {
            return;
        }
        state.told_available = available;
        state.last_seen = Some(unix_seconds());
        let subscribers = state.subscribers.iter();
        subscribers.map(|(who, jid)| (who.clone(), jid.clone())).collect()
    };
    for (who, jid) in told {
        let watcher = network.directory.by_number(&who.0);
        let session = watcher.as_ref().and_then(|watcher| watcher.state().session(who.1));
        match (watcher, session) {
            (Some(watcher), Some(session)) => {
                let shown = shown(&account.state(), &jid, &watcher);
                session.offer(encode(&shown));
            }
            // Who comes back asks again.
            _ => drop(account.state().subscribers.remove(&who)),
        }
    }
}

/// The account's presence as somebody sees it who calls it by that address.
fn shown(state: &AccountState, jid: &Jid, asker: &Account) -> Node {
    let node = NodeBuilder::new("presence").attr("from", jid);
    if is_available(state) && !state.hides("online") {
        return node.build();
    }
    let node = node.attr("type", "unavailable");
    match state.last_seen {
        Some(at) if !state.hides("last") && !is_blocked(state, asker) => node.attr("last", at),
        _ => node.attr("last", "deny"),
    }
    .build()
}

fn is_blocked(state: &AccountState, asker: &Account) -> bool {
    state.settings.contains_key(&format!("block/{}", asker.lid))
}

/// An account is available while one of its companions says so or its phone is online.
fn is_available(state: &AccountState) -> bool {
    let companions = state.devices.values().filter_map(|device| device.session.as_ref());
    (state.online && !state.silent) || companions.into_iter().any(|session| session.is_available())
}

/// "Typing" of a client.
pub(super) fn chat_state(client: &Client, node: &NodeRef<'_>) -> Reply {
    if let Some(to) = jid_attr(node, "to") {
        let children = node.children().unwrap_or_default().iter().map(NodeRef::to_owned);
        tell_chat_state(&client.network, &client.account, &to, children.collect());
    }
    Reply::nothing()
}

/// "Typing" reaches the devices of the other side that are connected, or come back soon. Phones show it to who watches.
pub(crate) fn tell_chat_state(network: &Network, account: &Account, to: &Jid, children: Vec<Node>) {
    let typing = typing(&children);
    let state = NodeBuilder::new("chatstate").children(children);
    if to.server == Server::Group {
        let state = state
            .attr("from", to)
            .attr("participant", account.user_jid(Addressing::Lid));
        let state = encode(&state.build());
        for member in other_members(network, account, to) {
            offer_to_active(&member, &state);
            announce(network, &member, to.to_string(), typing);
        }
    } else if let Some(target) = network.directory.by_jid(to) {
        let from = account.user_jid(Addressing::of(to));
        let state = encode(&state.attr("from", &from).build());
        offer_to_active(&target, &state);
        keep_for_absent(network, &target, from.to_string(), state);
        announce(network, &target, account.number.clone(), typing);
    }
}

/// Members hear of members.
fn other_members(network: &Network, account: &Account, to: &Jid) -> Vec<Arc<Account>> {
    let Ok(group) = groups::of_member(network, &account.number, to) else {
        return Vec::new();
    };
    let members = group.members();
    let others = members.iter().filter(|number| **number != account.number);
    others
        .filter_map(|number| network.directory.by_number(number))
        .collect()
}

fn typing(children: &[Node]) -> Option<Typing> {
    let child = children.first()?;
    match &*child.tag {
        "composing" if child.attrs.get("media").is_some() => Some(Typing::Recording),
        "composing" => Some(Typing::Composing),
        "paused" => Some(Typing::Paused),
        _ => None,
    }
}

fn announce(network: &Network, phone: &Account, chat: String, typing: Option<Typing>) {
    if let Some(typing) = typing {
        network.announce(&phone.number, Changed::Typing { chat, typing });
    }
}

fn offer_to_active(target: &Account, stanza: &Bytes) {
    let state = target.state();
    let sessions = state.devices.values().filter_map(|device| device.session.as_ref());
    for session in sessions.filter(|session| session.is_active()) {
        session.offer(stanza.clone());
    }
}

/// The last word of each chat waits a moment for devices that are away.
fn keep_for_absent(network: &Network, target: &Account, from: String, stanza: Bytes) {
    let mut state = target.state();
    let away = |device: &Device| device.session.as_ref().is_none_or(|session| !session.is_active());
    if !state.devices.values().any(away) {
        return;
    }
    let (now, lasts) = (Instant::now(), network.timing.chat_state);
    state
        .chat_states
        .retain(|_, (said, _)| now.duration_since(*said) < lasts);
    if state.chat_states.len() < MAX_CHAT_STATES {
        state.chat_states.insert(from, (now, stanza));
    }
}

/// What a device that is back may still hear.
pub(super) fn show_chat_states(client: &Client) {
    let (now, lasts) = (Instant::now(), client.network.timing.chat_state);
    let state = client.account.state();
    let fresh = state
        .chat_states
        .values()
        .filter(|(said, _)| now.duration_since(*said) < lasts);
    fresh.for_each(|(_, stanza)| client.session.offer(stanza.clone()));
}
