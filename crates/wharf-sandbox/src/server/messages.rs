//! Messages of clients: acknowledged at once, one ciphertext into the queue of each addressed device
//! (protocol brief, section 9).

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};

use super::directory::participant_hash;
use super::routing::{self, Envelope};
use super::{Client, Reply, group_messages, strangers};
use crate::clock::unix_seconds;
use crate::model::DeviceId;
use crate::network::account::{Account, Addressing};
use crate::store::Ticket;
use crate::wire::node::{attr_is, children, jid_attr, text_attr};

/// Children every copy carries along.
const SHARED: [&str; 3] = ["reporting", "meta", "biz"];
/// Attributes that are passed on.
const PASSED: [&str; 2] = ["edit", "push_priority"];

/// A ciphertext and the device it is addressed to.
struct Addressed {
    account: Arc<Account>,
    device: DeviceId,
    sealed: Node,
}

pub(super) fn accept(client: &Client, node: &NodeRef<'_>, observed: Option<u64>) -> Reply {
    let (Some(id), Some(to)) = (text_attr(node, "id"), jid_attr(node, "to")) else {
        return Reply::nothing();
    };
    if to.server == Server::Group {
        return group_messages::accept(client, node, (&id, &to), observed);
    }
    let Some(target) = client.network.directory.by_jid(&to) else {
        return unroutable(client, &id, &to);
    };
    let at = unix_seconds();
    let chat = jid_attr(node, "recipient").unwrap_or_else(|| to.clone()).to_non_ad();
    let peer = attr_is(node, "category", "peer");
    // What goes to one device is for own devices, or was sent before.
    let fan_out = node.get_optional_child("participants").is_some();
    if fan_out
        && !peer
        && let Err(code) = strangers::may_write(client, node, &target)
    {
        return Reply::answer(acknowledgement(&id, &to, at).attr("error", code).build());
    }
    let mut copies = addressed(client, node, &to, &target);
    // Phones last: they answer at once, and no answer is to overtake the other copies.
    copies.sort_by_key(|copy| copy.device == 0);
    let mut envelope = envelope(client, node, (&id, at), (!peer).then(|| chat.clone()));
    envelope.observed = observed;
    let after = deliver_all(client, &envelope, &copies);
    let mut ack = acknowledgement(&id, &to, at);
    if let Some(hash) = missing_devices(client, node, &target, &chat, &copies) {
        ack = ack.attr("phash", hash);
    }
    Reply::answer_after(ack.build(), after)
}

pub(super) fn acknowledgement(id: &str, to: &Jid, at: u64) -> NodeBuilder {
    NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", id)
        .attr("from", to)
        .attr("t", at)
}

/// The sender learns of it from the acknowledgement. Channels and broadcasts are not imitated and counted.
fn unroutable(client: &Client, id: &str, to: &Jid) -> Reply {
    let server = to.server.as_str();
    if to.server != Server::Pn && to.server != Server::Lid {
        client.network.unhandled.count(format!("message to {server}"));
    }
    Reply::answer(acknowledgement(id, to, unix_seconds()).attr("error", "404").build())
}

pub(super) fn envelope<'c>(
    client: &'c Client,
    node: &NodeRef<'_>,
    (id, at): (&str, u64),
    chat: Option<Jid>,
) -> Envelope<'c> {
    let passed = PASSED
        .iter()
        .filter_map(|&name| text_attr(node, name).map(|value| (name, value)));
    let shared = children(node)
        .iter()
        .filter(|child| SHARED.contains(&&*child.tag))
        .map(NodeRef::to_owned);
    Envelope {
        sender: &client.account,
        sender_name: client.account.state().name.clone(),
        sender_device: client.device,
        chat,
        id: id.to_owned(),
        kind: text_attr(node, "type").unwrap_or_else(|| "text".to_owned()),
        at,
        passed: passed.collect(),
        shared: shared.collect(),
        device_identity: node.get_optional_child("device-identity").map(NodeRef::to_owned),
        observed: None,
    }
}

/// The copies of a fan-out, or the single ciphertext of a peer message or a retry.
fn addressed(client: &Client, node: &NodeRef<'_>, to: &Jid, target: &Arc<Account>) -> Vec<Addressed> {
    if let Some(participants) = node.get_optional_child("participants") {
        let copies = children(participants).iter().filter(|child| child.tag == "to");
        return copies.filter_map(|copy| fanned_out(client, copy, target)).collect();
    }
    let sealed = children(node)
        .iter()
        .filter(|child| child.tag == "enc")
        .map(NodeRef::to_owned);
    sealed
        .map(|sealed| Addressed {
            account: Arc::clone(target),
            device: to.device,
            sealed,
        })
        .collect()
}

/// A copy may go to the other side of the conversation or to the sender's own devices, to nobody else.
fn fanned_out(client: &Client, copy: &NodeRef<'_>, target: &Arc<Account>) -> Option<Addressed> {
    let jid = jid_attr(copy, "jid")?;
    let account = client.network.directory.by_jid(&jid)?;
    let own = account.number == client.account.number;
    if !own && account.number != target.number || own && jid.device == client.device {
        return None;
    }
    let sealed = copy.get_optional_child("enc")?.to_owned();
    Some(Addressed {
        account,
        device: jid.device,
        sealed,
    })
}

fn deliver_all(client: &Client, envelope: &Envelope<'_>, copies: &[Addressed]) -> Ticket {
    let tickets = copies.iter().filter_map(|copy| {
        routing::deliver(
            &client.network,
            envelope,
            &copy.account,
            copy.device,
            std::slice::from_ref(&copy.sealed),
        )
    });
    tickets.max().unwrap_or_default()
}

/// The right participant hash when a fan-out left out a device that exists: then the sender's list is stale.
fn missing_devices(
    client: &Client,
    node: &NodeRef<'_>,
    target: &Arc<Account>,
    chat: &Jid,
    copies: &[Addressed],
) -> Option<String> {
    node.get_optional_child("participants")?;
    let own = &client.account;
    let mut sides = vec![target];
    sides.extend((!Arc::ptr_eq(target, own)).then_some(own));
    let reached = |account: &Arc<Account>, device: DeviceId| {
        Arc::ptr_eq(account, own) && device == client.device
            || copies
                .iter()
                .any(|copy| copy.device == device && Arc::ptr_eq(&copy.account, account))
    };
    let complete = |account: &Arc<Account>| {
        let devices = account.state().device_ids();
        devices.into_iter().all(|device| reached(account, device))
    };
    if sides.iter().all(|account| complete(account)) {
        return None;
    }
    let addressing = Addressing::of(chat);
    let expected = sides.iter().flat_map(|account| devices_of(account, addressing));
    Some(participant_hash(&expected.collect::<Vec<_>>()))
}

fn devices_of(account: &Account, addressing: Addressing) -> Vec<Jid> {
    let devices = account.state().device_ids();
    devices
        .into_iter()
        .map(|device| account.device_jid(addressing, device))
        .collect()
}
