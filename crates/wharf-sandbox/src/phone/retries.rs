//! Recovery when a message could not be decrypted: the phone asks for it again, and sends its own again when asked.

use std::sync::Arc;

use rand::rngs::StdRng;
use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, NodeRef};

use super::inbox::{Head, registration};
use super::outbox::{envelope, seal, sealed_node};
use super::signal_store::address;
use super::{Phone, content, group_keys};
use crate::clock::unix_seconds;
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::network::device::{Bundle, OneTimeKey, SignedKey};
use crate::server::directory;
use crate::server::receipts::{self, Receipt};
use crate::server::routing;
use crate::wire::node::{child_bytes, text_attr};

/// How often a message is asked for again before the phone gives up.
const MAX_ATTEMPTS: u32 = 5;

/// Asks the author's device for a message the phone could not read, with fresh keys to encrypt it for.
pub(super) fn ask(network: &Network, account: &Account, head: &Head, attempt: u32) {
    if attempt >= MAX_ATTEMPTS {
        tracing::warn!(id = head.id, "a phone gave up on a message it cannot decrypt");
        return;
    }
    let retry = NodeBuilder::new("retry")
        .attr("v", "1")
        .attr("count", attempt + 1)
        .attr("id", head.id.as_str())
        .attr("t", unix_seconds())
        .build();
    let mut children = vec![retry, registration(account)];
    children.extend(fresh_keys(network, account));
    let (to, participant) = head.receipt_to();
    let receipt = Receipt {
        id: head.id.clone(),
        kind: Some("retry".to_owned()),
        to,
        recipient: None,
        participant,
        children,
    };
    receipts::forward(network, account, 0, &receipt);
}

fn fresh_keys(network: &Network, account: &Account) -> Option<wacore_binary::Node> {
    let bundle = directory::bundle(network, account, 0)?;
    let key = bundle.one_time_key?;
    Some(
        NodeBuilder::new("keys")
            .children([
                NodeBuilder::new("type").bytes(vec![5]).build(),
                NodeBuilder::new("identity").bytes(bundle.identity.to_vec()).build(),
                routing_key(key),
                signed_key(&bundle.signed_key),
            ])
            .build(),
    )
}

fn routing_key(key: OneTimeKey) -> wacore_binary::Node {
    NodeBuilder::new("key")
        .children([
            NodeBuilder::new("id").bytes(key.id.to_vec()).build(),
            NodeBuilder::new("value").bytes(key.public.to_vec()).build(),
        ])
        .build()
}

fn signed_key(key: &SignedKey) -> wacore_binary::Node {
    NodeBuilder::new("skey")
        .children([
            NodeBuilder::new("id").bytes(key.id.to_vec()).build(),
            NodeBuilder::new("value").bytes(key.public.to_vec()).build(),
            NodeBuilder::new("signature").bytes(key.signature.to_vec()).build(),
        ])
        .build()
}

/// A device that could not read what the phone sent.
pub(super) struct Asker<'a> {
    pub account: &'a Arc<Account>,
    pub device: DeviceId,
    /// The group that it was sent to.
    pub group: Option<&'a Jid>,
}

/// Sends a message again to the one device that could not read it, under the same id and with a fresh session.
pub(super) async fn answer(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    asker: Asker<'_>,
    node: &NodeRef<'_>,
    rng: &mut StdRng,
) -> Option<()> {
    let id = text_attr(node, "id")?;
    let (peer, device) = (asker.account, asker.device);
    let (plaintext, chat) = match asker.group {
        Some(group) => (
            sent_to_group(account, phone, group, &id, rng).await?,
            Some(group.clone()),
        ),
        None => sent_before(account, phone, peer, peer.number == account.number, &id)?,
    };
    // The old session stays behind the new one: what the peer wrote under it is still on its way.
    let bundle = offered_keys(node).or_else(|| directory::bundle(network, peer, device))?;
    let started = phone.signal.start(&address(peer, device), &bundle, rng).await;
    started
        .inspect_err(|failure| tracing::warn!(error = %failure, "a retry receipt has bad keys"))
        .ok()?;
    let sealed = seal(network, phone, peer, device, &plaintext, rng).await.ok()?;
    let count = node
        .get_optional_child("retry")
        .and_then(|retry| text_attr(retry, "count"));
    let attempt = count.and_then(|count| count.parse().ok()).unwrap_or(1);
    let mut batch = network.store.batch();
    phone.signal.save(&account.number, &mut batch);
    network.store.submit(batch);
    let envelope = envelope(account, chat, &id);
    routing::deliver(network, &envelope, peer, device, &[sealed_node(&sealed, attempt)])?;
    Some(())
}

/// What the phone wrote to a group, with the key for what it wrote and writes next.
async fn sent_to_group(
    account: &Account,
    phone: &mut Phone,
    group: &Jid,
    id: &str,
    rng: &mut StdRng,
) -> Option<Vec<u8>> {
    let group = group.to_string();
    let stored = phone.chats.find(&group, id).filter(|stored| stored.message.from_me)?;
    let mut message = stored.content();
    let key = group_keys::key_message(phone, &group, account, rng).await.ok()?;
    message.sender_key_distribution_message = key.sender_key_distribution_message;
    Some(MessageUtils::encode_and_pad(&message))
}

/// The plaintext of a message the phone sent, and the chat it belongs to.
fn sent_before(
    account: &Account,
    phone: &Phone,
    peer: &Account,
    own: bool,
    id: &str,
) -> Option<(Vec<u8>, Option<wacore_binary::Jid>)> {
    if !own {
        let stored = phone
            .chats
            .find(&peer.number, id)
            .filter(|stored| stored.message.from_me)?;
        let plaintext = MessageUtils::encode_and_pad(&stored.content());
        return Some((plaintext, Some(peer.user_jid(Addressing::Number))));
    }
    if let Some(plaintext) = phone.peer_message(id) {
        return Some((plaintext, None));
    }
    let (chat, stored) = phone.chats.find_own(id)?;
    let destination = wacore_binary::Jid::pn(chat);
    let copy = content::sent_to(destination.to_string(), stored.content());
    debug_assert_eq!(stored.message.from, account.number);
    Some((MessageUtils::encode_and_pad(&copy), Some(destination)))
}

/// The keys a retry receipt brings, from the second attempt on.
fn offered_keys(node: &NodeRef<'_>) -> Option<Bundle> {
    let keys = node.get_optional_child("keys")?;
    let registration = child_bytes(node, "registration")?.try_into().ok()?;
    let signed = keys.get_optional_child("skey")?;
    let one_time = keys.get_optional_child("key").and_then(|key| {
        let (id, public) = (child_bytes(key, "id")?, child_bytes(key, "value")?);
        Some(OneTimeKey {
            id: id.try_into().ok()?,
            public: public.try_into().ok()?,
        })
    });
    Some(Bundle {
        registration: u32::from_be_bytes(registration),
        identity: child_bytes(keys, "identity")?.try_into().ok()?,
        signed_key: SignedKey {
            id: child_bytes(signed, "id")?.try_into().ok()?,
            public: child_bytes(signed, "value")?.try_into().ok()?,
            signature: child_bytes(signed, "signature")?.try_into().ok()?,
        },
        one_time_key: one_time,
        identity_blob: None,
    })
}
