//! Marks that tell a companion to fetch something anew: shown at every login until it says that it did.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::Client;
use crate::clock::unix_seconds;
use crate::network::Network;
use crate::network::account::Account;
use crate::store::Ticket;
use crate::wire::node::{encode, server_jid};

/// What clients know to fetch.
pub(crate) const KINDS: [&str; 4] = ["account_sync", "groups", "syncd_app_state", "newsletter_metadata"];

/// Marks every companion of the account; those that are connected are told at once.
pub(crate) fn mark(network: &Network, account: &Account, kind: &str) -> Ticket {
    let at = unix_seconds();
    let mut state = account.state();
    let mut batch = network.store.batch();
    for device in state.devices.values_mut() {
        device.dirty.insert(kind.to_owned(), at);
        account.save_device(device, &mut batch);
        if let Some(session) = &device.session {
            session.offer(encode(&notice(kind, at)));
        }
    }
    network.store.submit(batch)
}

/// What a client is told when it logs in.
pub(super) fn notices(client: &Client) -> Vec<Node> {
    let state = client.account.state();
    let device = state.devices.get(&client.device);
    let marks = device.into_iter().flat_map(|device| &device.dirty);
    marks.map(|(kind, &at)| notice(kind, at)).collect()
}

/// The client fetched what was marked up to that time.
pub(super) fn clean(client: &Client, kind: &str, up_to: u64) -> Ticket {
    let mut state = client.account.state();
    let mut batch = client.network.store.batch();
    if let Some(device) = state.devices.get_mut(&client.device) {
        device.dirty.retain(|marked, at| marked != kind || *at > up_to);
        client.account.save_device(device, &mut batch);
    }
    client.network.store.submit(batch)
}

fn notice(kind: &str, at: u64) -> Node {
    let dirty = NodeBuilder::new("dirty").attr("type", kind).attr("timestamp", at);
    NodeBuilder::new("ib")
        .attr("from", server_jid())
        .children([dirty.build()])
        .build()
}
