//! Presence and chat states. They are passed on to who is connected now and kept nowhere; a name in a presence is kept.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, NodeRef};

use super::{Client, Reply};
use crate::model::Changed;
use crate::network::account::{Account, Addressing};
use crate::wire::node::{encode, jid_attr, text_attr};

/// The longest push name a client may set.
const MAX_NAME: usize = 128;

pub(super) fn presence(client: &Client, node: &NodeRef<'_>) -> Reply {
    if let Some(name) = text_attr(node, "name").filter(|name| !name.is_empty() && name.len() <= MAX_NAME) {
        rename(client, &name);
    }
    match text_attr(node, "type").as_deref() {
        Some("available") => client.session.set_available(true),
        Some("unavailable") => client.session.set_available(false),
        Some("subscribe") => show_presence(client, jid_attr(node, "to")),
        _ => {}
    }
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

/// An account is available while one of its companions says so or its phone is online.
fn show_presence(client: &Client, to: Option<Jid>) {
    let Some(to) = to else { return };
    let Some(account) = client.network.directory.by_jid(&to) else {
        return;
    };
    let mut node = NodeBuilder::new("presence").attr("from", to.to_non_ad());
    if !is_available(&account) {
        node = node.attr("type", "unavailable").attr("last", "deny");
    }
    client.session.offer(encode(&node.build()));
}

fn is_available(account: &Account) -> bool {
    let state = account.state();
    let companion = |session: &std::sync::Arc<crate::network::session::Session>| session.is_available();
    (state.online && !state.silent)
        || state
            .devices
            .values()
            .filter_map(|device| device.session.as_ref())
            .any(companion)
}

/// "Typing" reaches the connected devices of the other side; a phone has no use for it.
pub(super) fn chat_state(client: &Client, node: &NodeRef<'_>) -> Reply {
    let Some(to) = jid_attr(node, "to") else {
        return Reply::nothing();
    };
    let Some(target) = client.network.directory.by_jid(&to) else {
        return Reply::nothing();
    };
    let from = client.account.user_jid(Addressing::of(&to));
    let children = node.children().unwrap_or_default().iter().map(NodeRef::to_owned);
    let forwarded = encode(
        &NodeBuilder::new("chatstate")
            .attr("from", from)
            .children(children)
            .build(),
    );
    let state = target.state();
    for session in state.devices.values().filter_map(|device| device.session.as_ref()) {
        if session.is_active() {
            session.offer(forwarded.clone());
        }
    }
    Reply::nothing()
}
