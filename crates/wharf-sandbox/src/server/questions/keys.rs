//! Questions about keys: uploads of a device's own, and bundles of others.

use std::collections::HashSet;

use sha1::{Digest as _, Sha1};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef};

use super::Question;
use crate::clock::unix_seconds;
use crate::network::device::{Bundle, Device, OneTimeKey, SignedKey};
use crate::network::records;
use crate::server::{Client, Reply, directory};
use crate::store::Kind;
use crate::wire::node::{child_bytes, children, error, jid_attr};

/// Marks a Curve25519 key.
const KEY_TYPE: u8 = 5;
/// One-time keys a device may have on the server.
const MAX_ONE_TIME_KEYS: usize = 2048;

pub(super) fn answer(client: &Client, question: &Question<'_>) -> Option<Reply> {
    match (question.kind.as_str(), question.child_tag()) {
        ("get", "count") => Some(count(client, question)),
        ("get", "digest") => Some(digest(client, question)),
        ("get", "key") => Some(bundles(client, question)),
        ("set", "rotate") => Some(rotate(client, question)),
        ("set", _) => Some(upload(client, question)),
        _ => None,
    }
}

fn count(client: &Client, question: &Question<'_>) -> Reply {
    let state = client.account.state();
    let left = state
        .devices
        .get(&client.device)
        .map_or(0, |device| device.one_time_keys.len());
    drop(state);
    question.found(NodeBuilder::new("count").attr("value", left.to_string()).build())
}

/// What the server has of the device, with a hash over it, so that the client can tell whether it still fits.
fn digest(client: &Client, question: &Question<'_>) -> Reply {
    let state = client.account.state();
    let found = state
        .devices
        .get(&client.device)
        .filter(|device| !device.one_time_keys.is_empty());
    match found {
        Some(device) => question.found(digest_of(device)),
        None => question.refuse(404, "item-not-found"),
    }
}

fn digest_of(device: &Device) -> Node {
    let mut hash = Sha1::new();
    hash.update(device.identity);
    hash.update(device.signed_key.public);
    hash.update(device.signed_key.signature);
    device.one_time_keys.iter().for_each(|key| hash.update(key.public));
    let ids = device.one_time_keys.iter().map(|key| leaf("id", &key.id));
    NodeBuilder::new("digest")
        .children([
            leaf("registration", &device.registration.to_be_bytes()),
            leaf("type", &[KEY_TYPE]),
            leaf("identity", &device.identity),
            signed_key(&device.signed_key),
            NodeBuilder::new("list").children(ids).build(),
            leaf("hash", &hash.finalize()),
        ])
        .build()
}

fn upload(client: &Client, question: &Question<'_>) -> Reply {
    let node = question.node;
    let Some(keys) = node.get_optional_child("list").map(read_keys) else {
        return question.refuse(400, "bad-request");
    };
    let signed = node.get_optional_child("skey").and_then(read_signed_key);
    let identity: Option<[u8; 32]> = child_bytes(node, "identity").and_then(|bytes| bytes.try_into().ok());
    let mut state = client.account.state();
    let Some(device) = state.devices.get_mut(&client.device) else {
        return question.refuse(401, "not-authorized");
    };
    // The identity was signed by the phone when the device was linked: another one is a fault of the client.
    if identity.is_some_and(|identity| identity != device.identity) {
        return question.refuse(406, "not-acceptable");
    }
    if device.one_time_keys.len() + keys.len() > MAX_ONE_TIME_KEYS {
        return question.refuse(406, "not-acceptable");
    }
    let mut batch = client.network.store.batch();
    // Clients upload hundreds at a time.
    let mut known: HashSet<[u8; 3]> = device.one_time_keys.iter().map(|key| key.id).collect();
    for key in keys {
        if known.insert(key.id) {
            let (number, id) = (&client.account.number, client.device);
            batch.put(
                Kind::PreKey,
                || records::one_time_key_key(number, id, &key),
                || records::encode_one_time_key(&key),
            );
            device.one_time_keys.push_back(key);
        }
    }
    if let Some(signed) = signed {
        device.signed_key = signed;
    }
    client.account.save_device(device, &mut batch);
    let after = client.network.store.submit(batch);
    drop(state);
    // The phone may have waited for keys to greet the companion with.
    client.account.wake.notify_one();
    Reply {
        after,
        ..question.done()
    }
}

fn rotate(client: &Client, question: &Question<'_>) -> Reply {
    let key = question
        .child
        .and_then(|child| child.get_optional_child("skey"))
        .and_then(read_signed_key);
    let Some(key) = key else {
        return question.refuse(400, "bad-request");
    };
    let mut state = client.account.state();
    let Some(device) = state.devices.get_mut(&client.device) else {
        return question.refuse(401, "not-authorized");
    };
    device.signed_key = key;
    let mut batch = client.network.store.batch();
    client.account.save_device(device, &mut batch);
    let after = client.network.store.submit(batch);
    Reply {
        after,
        ..question.done()
    }
}

fn bundles(client: &Client, question: &Question<'_>) -> Reply {
    let asked = question.child.map(|child| children(child)).unwrap_or_default();
    let jids = asked.iter().filter_map(|user| jid_attr(user, "jid"));
    let users = jids.map(|jid| user_bundle(client, &jid));
    question.found(NodeBuilder::new("list").children(users).build())
}

fn user_bundle(client: &Client, jid: &Jid) -> Node {
    let account = client.network.directory.by_jid(jid);
    let bundle = account.and_then(|account| directory::bundle(&client.network, &account, jid.device));
    let user = NodeBuilder::new("user").attr("jid", jid);
    match bundle {
        Some(bundle) => user
            .attr("t", unix_seconds())
            .children(bundle_children(&bundle))
            .build(),
        None => user.children([error(406, "not-acceptable")]).build(),
    }
}

fn bundle_children(bundle: &Bundle) -> Vec<Node> {
    let mut children = vec![
        leaf("registration", &bundle.registration.to_be_bytes()),
        leaf("type", &[KEY_TYPE]),
        leaf("identity", &bundle.identity),
        signed_key(&bundle.signed_key),
    ];
    if let Some(key) = &bundle.one_time_key {
        children.push(
            NodeBuilder::new("key")
                .children([leaf("id", &key.id), leaf("value", &key.public)])
                .build(),
        );
    }
    if let Some(blob) = &bundle.identity_blob {
        children.push(leaf("device-identity", blob));
    }
    children
}

fn signed_key(key: &SignedKey) -> Node {
    let parts = [
        leaf("id", &key.id),
        leaf("value", &key.public),
        leaf("signature", &key.signature),
    ];
    NodeBuilder::new("skey").children(parts).build()
}

fn leaf(tag: &'static str, bytes: &[u8]) -> Node {
    NodeBuilder::new(tag).bytes(bytes.to_vec()).build()
}

fn read_keys(list: &NodeRef<'_>) -> Vec<OneTimeKey> {
    let keys = children(list).iter().filter(|child| child.tag == "key");
    keys.filter_map(|key| {
        let id = child_bytes(key, "id")?.try_into().ok()?;
        let public = child_bytes(key, "value")?.try_into().ok()?;
        Some(OneTimeKey { id, public })
    })
    .collect()
}

fn read_signed_key(node: &NodeRef<'_>) -> Option<SignedKey> {
    Some(SignedKey {
        id: child_bytes(node, "id")?.try_into().ok()?,
        public: child_bytes(node, "value")?.try_into().ok()?,
        signature: child_bytes(node, "signature")?.try_into().ok()?,
    })
}
