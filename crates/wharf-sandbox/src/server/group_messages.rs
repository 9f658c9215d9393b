//! Messages of clients to groups: everybody's devices get the message, sealed once with the sender's key, and those that
//! do not have that key yet get it beside it (protocol brief, section 12).

use std::collections::HashMap;
use std::sync::Arc;

use wacore_binary::{Jid, Node, NodeRef};

use super::directory::participant_hash;
use super::routing;
use super::{Client, Reply, messages};
use crate::clock::unix_seconds;
use crate::model::DeviceId;
use crate::network::account::{Account, Addressing};
use crate::network::groups::Group;
use crate::wire::node::{children, jid_attr, text_attr};

pub(super) fn accept(client: &Client, node: &NodeRef<'_>, (id, to): (&str, &Jid), observed: Option<u64>) -> Reply {
    let at = unix_seconds();
    let ack = messages::acknowledgement(id, to, at);
    let group = match may_send(client, to) {
        Ok(group) => group,
        Err(code) => return Reply::answer(ack.attr("error", code).build()),
    };
    let mut envelope = messages::envelope(client, node, (id, at), Some(to.clone()));
    envelope.observed = observed;
    if let Some(one) = jid_attr(node, "participant") {
        // Sent again to the one device that could not read it.
        let sealed = ciphertexts(node);
        let account = client.network.directory.by_jid(&one);
        let member = account.filter(|account| group.state().role(&account.number).is_some());
        let after =
            member.and_then(|account| routing::deliver(&client.network, &envelope, &account, one.device, &sealed));
        return Reply::answer_after(ack.build(), after.unwrap_or_default());
    }
    let members = members(client, &group);
    let mut keys = keys(client, node);
    let common = ciphertexts(node);
    let mut after = 0;
    let mut devices: Vec<_> = members.iter().flat_map(devices_of).collect();
    // Phones last: they answer at once, and no answer is to overtake the other copies.
    devices.sort_by_key(|(_, device)| *device == 0);
    for (account, device) in devices {
        if account.number == client.account.number && device == client.device {
            continue;
        }
        let own = keys.remove(&(account.number.clone(), device));
        let sealed: Vec<Node> = own.into_iter().chain(common.iter().cloned()).collect();
        if sealed.is_empty() {
            continue;
        }
        let ticket = routing::deliver(&client.network, &envelope, account, device, &sealed);
        after = after.max(ticket.unwrap_or_default());
    }
    let ack = match stale(node, &members) {
        Some(hash) => ack.attr("phash", hash),
        None => ack,
    };
    Reply::answer_after(ack.build(), after)
}

/// Or the code of the error.
fn may_send(client: &Client, to: &Jid) -> Result<Arc<Group>, u16> {
    let group = client.network.groups.by_jid(to).ok_or(404_u16)?;
    let may = group.state().may_write(&client.account.number);
    if may { Ok(group) } else { Err(403) }
}

fn members(client: &Client, group: &Group) -> Vec<Arc<Account>> {
    let numbers = group.members();
    let found = numbers
        .iter()
        .filter_map(|number| client.network.directory.by_number(number));
    found.collect()
}

fn devices_of(account: &Arc<Account>) -> impl Iterator<Item = (&Arc<Account>, DeviceId)> {
    let devices = account.state().device_ids();
    devices.into_iter().map(move |device| (account, device))
}

/// What all devices get.
fn ciphertexts(node: &NodeRef<'_>) -> Vec<Node> {
    let sealed = children(node).iter().filter(|child| child.tag == "enc");
    sealed.map(NodeRef::to_owned).collect()
}

/// The sender's key for those who do not have it, by account and device.
fn keys(client: &Client, node: &NodeRef<'_>) -> HashMap<(String, DeviceId), Node> {
    let participants = node.get_optional_child("participants");
    let copies = participants
        .into_iter()
        .flat_map(children)
        .filter(|child| child.tag == "to");
    let keys = copies.filter_map(|copy| {
        let jid = jid_attr(copy, "jid")?;
        let account = client.network.directory.by_jid(&jid)?;
        let sealed = copy.get_optional_child("enc")?.to_owned();
        Some(((account.number.clone(), jid.device), sealed))
    });
    keys.collect()
}

/// The right hash over all devices of all members, when the sender's is another: then its list is stale.
fn stale(node: &NodeRef<'_>, members: &[Arc<Account>]) -> Option<String> {
    let claimed = text_attr(node, "phash")?;
    let devices = members.iter().flat_map(devices_of);
    let jids: Vec<Jid> = devices
        .map(|(account, device)| account.device_jid(Addressing::Lid, device))
        .collect();
    let expected = participant_hash(&jids);
    (claimed != expected).then_some(expected)
}
