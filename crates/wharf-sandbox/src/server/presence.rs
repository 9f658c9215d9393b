//! Presence and chat states. They are passed on to who is connected now and kept nowhere; a name in a presence is kept.

use bytes::Bytes;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};

use super::{Client, Reply, groups};
use crate::clock::unix_seconds;
use crate::model::{Changed, DeviceId};
use crate::network::Network;
use crate::network::account::{Account, AccountState, Addressing};
use crate::wire::node::{encode, jid_attr, text_attr};

/// The longest push name a client may set.
const MAX_NAME: usize = 128;
/// Devices that may watch one account.
const MAX_SUBSCRIBERS: usize = 10_000;

pub(super) fn presence(client: &Client, node: &NodeRef<'_>) -> Reply {
    if let Some(name) = text_attr(node, "name").filter(|name| !name.is_empty() && name.len() <= MAX_NAME) {
        rename(client, &name);
    }
    match text_attr(node, "type").as_deref() {
        Some("available") => client.session.set_available(true),
        Some("unavailable") => client.session.set_available(false),
        Some("subscribe") => subscribe(client, jid_attr(node, "to")),
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

/// Tells how the account is now, and every change from now on.
fn subscribe(client: &Client, to: Option<Jid>) {
    let Some(to) = to.map(|to| to.to_non_ad()) else { return };
    let Some(account) = client.network.directory.by_jid(&to) else {
        return;
    };
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
    if is_available(state) && !is_hidden(state, "online") {
        return node.build();
    }
    let node = node.attr("type", "unavailable");
    match state.last_seen {
        Some(at) if !is_hidden(state, "last") && !is_blocked(state, asker) => node.attr("last", at),
        _ => node.attr("last", "deny"),
    }
    .build()
}

/// Whether the account shows this to nobody. Contacts are what phones keep to themselves: `contacts` is taken for all.
fn is_hidden(state: &AccountState, what: &str) -> bool {
    let setting = |name: &str| state.settings.get(&format!("privacy/{name}")).map(String::as_str);
    match setting(what) {
        Some("match_last_seen") => setting("last") == Some("none"),
        value => value == Some("none"),
    }
}

fn is_blocked(state: &AccountState, asker: &Account) -> bool {
    state.settings.contains_key(&format!("block/{}", asker.lid))
}

/// An account is available while one of its companions says so or its phone is online.
fn is_available(state: &AccountState) -> bool {
    let companions = state.devices.values().filter_map(|device| device.session.as_ref());
    (state.online && !state.silent) || companions.into_iter().any(|session| session.is_available())
}

/// "Typing" reaches the connected devices of the other side; a phone has no use for it.
pub(super) fn chat_state(client: &Client, node: &NodeRef<'_>) -> Reply {
    let Some(to) = jid_attr(node, "to") else {
        return Reply::nothing();
    };
    let children = node.children().unwrap_or_default().iter().map(NodeRef::to_owned);
    let state = NodeBuilder::new("chatstate").children(children);
    if to.server == Server::Group {
        let state = state
            .attr("from", &to)
            .attr("participant", client.account.user_jid(Addressing::Lid));
        in_group(client, &to, &encode(&state.build()));
    } else if let Some(target) = client.network.directory.by_jid(&to) {
        let state = state.attr("from", client.account.user_jid(Addressing::of(&to)));
        offer_to_active(&target, &encode(&state.build()));
    }
    Reply::nothing()
}

/// Members hear of members.
fn in_group(client: &Client, to: &Jid, state: &Bytes) {
    let Ok(group) = groups::of_member(&client.network, &client.account.number, to) else {
        return;
    };
    let others = group
        .members()
        .into_iter()
        .filter(|number| *number != client.account.number);
    for member in others.filter_map(|number| client.network.directory.by_number(&number)) {
        offer_to_active(&member, state);
    }
}

fn offer_to_active(target: &Account, stanza: &Bytes) {
    let state = target.state();
    let sessions = state.devices.values().filter_map(|device| device.session.as_ref());
    for session in sessions.filter(|session| session.is_active()) {
        session.offer(stanza.clone());
    }
}
