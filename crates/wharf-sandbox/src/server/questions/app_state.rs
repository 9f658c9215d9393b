//! App state: per collection a list of patches the server cannot read. A patch is taken only on top of the newest
//! version; otherwise the client gets what it missed and a conflict (protocol brief, section 10).

use buffa::{Message as _, MessageField};
use bytes::Bytes;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use waproto::whatsapp::{SyncdPatch, SyncdVersion};

use super::Question;
use crate::network::account::AccountState;
use crate::network::records;
use crate::phone::app_state;
use crate::server::{Client, Reply, notifications};
use crate::store::{Kind, Ticket};
use crate::wire::node::{attr_is, children, content_bytes, error, text_attr};

/// Collections that exist; others are refused.
const COLLECTIONS: [&str; 5] = [
    "critical_block",
    "critical_unblock_low",
    "regular",
    "regular_high",
    "regular_low",
];
/// Patches in one answer; the client asks again for more.
const MAX_PATCHES: usize = 200;

pub(super) fn answer(client: &Client, question: &Question<'_>) -> Option<Reply> {
    let sync = question
        .child
        .filter(|child| question.kind == "set" && child.tag == "sync")?;
    let mut after = 0;
    let collections = children(sync).iter().filter(|child| child.tag == "collection");
    let answers: Vec<Node> = collections
        .map(|collection| {
            let (node, ticket) = answer_collection(client, collection);
            after = after.max(ticket);
            node
        })
        .collect();
    let reply = question.found(NodeBuilder::new("sync").children(answers).build());
    Some(Reply { after, ..reply })
}

fn answer_collection(client: &Client, collection: &NodeRef<'_>) -> (Node, Ticket) {
    let name = text_attr(collection, "name").unwrap_or_default();
    if !COLLECTIONS.contains(&name.as_str()) {
        client.network.unhandled.count(format!("set w:sync:app:state/{name}"));
        return (failed(&name, 404, "item-not-found").build(), 0);
    }
    let version = text_attr(collection, "version")
        .and_then(|version| version.parse().ok())
        .unwrap_or(0);
    let wants_snapshot = version == 0 && attr_is(collection, "return_snapshot", "true");
    match collection.get_optional_child("patch").and_then(content_bytes) {
        Some(patch) => append(client, &name, version, &patch),
        None if wants_snapshot && let Some(whole) = snapshot(client, &name) => (whole, 0),
        None => (missed(&client.account.state(), &name, version).build(), 0),
    }
}

/// The whole collection in one piece, once it is long.
fn snapshot(client: &Client, name: &str) -> Option<Node> {
    let patches = client.account.state().collections.get(name).cloned()?;
    if patches.len() < client.network.snapshot_from {
        return None;
    }
    let reference = app_state::snapshot(&client.network, &client.account, name, &patches);
    let reference = reference
        .inspect_err(|failure| tracing::warn!(error = %failure, name, "a snapshot cannot be made"))
        .ok()?;
    let node = NodeBuilder::new("collection")
        .attr("name", name)
        .attr("version", patches.len().to_string())
        .children([NodeBuilder::new("snapshot").bytes(reference).build()]);
    Some(node.build())
}

/// The patches after a version.
fn missed(state: &AccountState, name: &str, version: usize) -> NodeBuilder {
    let patches = state.collections.get(name).map(Vec::as_slice).unwrap_or_default();
    let missing = patches.get(version..).unwrap_or_default();
    let nodes = missing
        .iter()
        .take(MAX_PATCHES)
        .map(|patch| NodeBuilder::new("patch").bytes(patch.to_vec()).build());
    let node = NodeBuilder::new("collection")
        .attr("name", name)
        .attr("version", patches.len().to_string());
    let node = if missing.len() > MAX_PATCHES {
        node.attr("has_more_patches", "true")
    } else {
        node
    };
    if missing.is_empty() {
        node
    } else {
        node.children([NodeBuilder::new("patches").children(nodes).build()])
    }
}

fn append(client: &Client, name: &str, version: usize, patch: &[u8]) -> (Node, Ticket) {
    let Ok(mut patch) = SyncdPatch::decode_from_slice(patch) else {
        return (failed(name, 400, "bad-request").build(), 0);
    };
    let mut state = client.account.state();
    let patches = state.collections.entry(name.to_owned()).or_default();
    if patches.len() != version {
        return (conflict(&state, name, version), 0);
    }
    let next = version + 1;
    patch.version = MessageField::some(SyncdVersion {
        version: u64::try_from(next).ok(),
    });
    let bytes = Bytes::from(patch.encode_to_vec());
    let mut batch = client.network.store.batch();
    batch.put(
        Kind::Patch,
        || records::patch_key(&client.account.number, name, next),
        || bytes.to_vec(),
    );
    patches.push(bytes);
    let ticket = client.network.store.submit(batch);
    drop(state);
    notifications::collection_moved(&client.network, &client.account, client.device, name, next);
    (
        NodeBuilder::new("collection")
            .attr("name", name)
            .attr("version", next.to_string())
            .build(),
        ticket,
    )
}

fn conflict(state: &AccountState, name: &str, version: usize) -> Node {
    let node = missed(state, name, version).build();
    let kept = node.get_optional_child("patches").cloned();
    let children = std::iter::once(error(409, "conflict")).chain(kept);
    failed(name, 409, "conflict").children(children).build()
}

fn failed(name: &str, code: u16, text: &'static str) -> NodeBuilder {
    NodeBuilder::new("collection")
        .attr("name", name)
        .attr("type", "error")
        .children([error(code, text)])
}
