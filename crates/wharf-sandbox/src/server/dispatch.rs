//! Which handler a stanza of a logged-in client goes to. Flat on purpose: one call per arm.

use wacore_binary::NodeRef;

use super::inlet::Incoming;
use super::{Client, Reply, Then, messages, presence, questions, receipts};
use crate::clock::unix_seconds;
use crate::network::queue::Class;
use crate::wire::node::{jid_attr, refusal, text_attr};

/// Notices of a client that need no answer, by the child of `<ib>`.
const KNOWN_NOTICES: [&str; 5] = [
    "unified_session",
    "offline_batch",
    "dirty",
    "edge_routing",
    "thread_metadata",
];

pub(super) fn handle(client: &Client, stanza: &Incoming) -> Reply {
    let node = stanza.node.get();
    if let Some(code) = stanza.refused {
        return refuse(node, code);
    }
    match &*node.tag {
        "iq" => questions::answer(client, node),
        "message" => messages::accept(client, node, stanza.observed),
        "receipt" => receipt(client, node),
        "ack" => acknowledge(client, node),
        "presence" => presence::presence(client, node),
        "chatstate" => presence::chat_state(client, node),
        "ib" => notice(client, node),
        "xmlstreamend" => Reply {
            then: Then::Close,
            ..Reply::default()
        },
        other => {
            client.network.unhandled.count(format!("stanza {other}"));
            Reply::nothing()
        }
    }
}

/// A fault wants this stanza refused.
fn refuse(node: &NodeRef<'_>, code: u16) -> Reply {
    let Some(id) = text_attr(node, "id") else {
        return Reply::nothing();
    };
    match (&*node.tag, jid_attr(node, "to")) {
        ("iq", _) => Reply::answer(refusal(&id, code, "refused")),
        ("message", Some(to)) => {
            let ack = messages::acknowledgement(&id, &to, unix_seconds());
            Reply::answer(ack.attr("error", code).build())
        }
        _ => Reply::nothing(),
    }
}

fn receipt(client: &Client, node: &NodeRef<'_>) -> Reply {
    let Some(receipt) = receipts::Receipt::read(node, &client.account) else {
        return Reply::nothing();
    };
    let after = receipts::accept(&client.network, &client.account, client.device, &receipt);
    let mut ack = wacore_binary::builder::NodeBuilder::new("ack")
        .attr("class", "receipt")
        .attr("id", receipt.id.as_str())
        .attr("from", &receipt.to);
    if let Some(kind) = &receipt.kind {
        ack = ack.attr("type", kind.as_str());
    }
    if let Some(participant) = jid_attr(node, "participant") {
        ack = ack.attr("participant", participant);
    }
    Reply::answer_after(ack.build(), after)
}

fn acknowledge(client: &Client, node: &NodeRef<'_>) -> Reply {
    let class = match text_attr(node, "class").as_deref() {
        Some("message") => Class::Message,
        Some("receipt") => Class::Receipt,
        Some("notification") => Class::Notification,
        _ => return Reply::nothing(),
    };
    if let Some(id) = text_attr(node, "id") {
        client.account.acknowledge(&client.network, client.device, class, &[id]);
    }
    Reply::nothing()
}

fn notice(client: &Client, node: &NodeRef<'_>) -> Reply {
    let unknown = node
        .children()
        .unwrap_or_default()
        .iter()
        .find(|child| !KNOWN_NOTICES.contains(&&*child.tag));
    if let Some(unknown) = unknown {
        client.network.unhandled.count(format!("ib {}", unknown.tag));
    }
    Reply::nothing()
}
