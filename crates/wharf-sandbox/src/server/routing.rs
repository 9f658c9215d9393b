//! Turns one message of a device, or of a phone, into the stanza each addressed device gets
//! (protocol brief, section 9).

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::{Account, Addressing, Stanza};
use crate::network::queue::Class;
use crate::store::Ticket;
use crate::wire::node::encode;

/// What all copies of a message share.
#[derive(Debug, Clone)]
pub(crate) struct Envelope<'a> {
    pub sender: &'a Account,
    pub sender_name: String,
    pub sender_device: DeviceId,
    /// Where the message goes, as the sender addressed it. `None` for messages between devices of one account.
    pub chat: Option<Jid>,
    pub id: String,
    pub kind: String,
    pub at: u64,
    /// Attributes that are passed on as they are.
    pub passed: Vec<(&'static str, String)>,
    /// Children that every copy carries.
    pub shared: Vec<Node>,
    /// The companion's certificate, for recipients that start a session with this message.
    pub device_identity: Option<Node>,
    /// The line of the stanza log that the message came with.
    pub observed: Option<u64>,
}

/// Puts the ciphertexts for one device into its queue: one, or in a group the sender's key before what is sealed with it.
/// `None` when there is no such device.
pub(crate) fn deliver(
    network: &Network,
    envelope: &Envelope<'_>,
    target: &Account,
    device: DeviceId,
    sealed: &[Node],
) -> Option<Ticket> {
    let node = copy(envelope, target, sealed);
    target.deliver(
        network,
        device,
        &Stanza {
            class: Class::Message,
            id: envelope.id.clone(),
            bytes: encode(&node),
            observed: envelope.observed,
        },
    )
}

fn copy(envelope: &Envelope<'_>, target: &Account, sealed: &[Node]) -> Node {
    let mut node = NodeBuilder::new("message")
        .attr("id", envelope.id.as_str())
        .attr("t", envelope.at)
        .attr("type", envelope.kind.as_str());
    for (name, value) in &envelope.passed {
        node = node.attr(name, value.as_str());
    }
    node = match &envelope.chat {
        None => address_peer(node, envelope),
        Some(group) if group.server == Server::Group => address_group(node, envelope, group),
        Some(chat) if target.number == envelope.sender.number => address_own(node, envelope, chat),
        Some(chat) => address_other(node, envelope, chat),
    };
    let first = sealed.iter().any(is_first);
    let certificate = envelope.device_identity.clone().filter(|_| first);
    let children = certificate
        .into_iter()
        .chain(sealed.iter().cloned())
        .chain(envelope.shared.iter().cloned());
    node.children(children).build()
}

/// Whether a ciphertext starts a session, so that the recipient wants to see the sender's certificate.
fn is_first(sealed: &Node) -> bool {
    sealed.attrs.get("type").is_some_and(|kind| kind.as_str() == "pkmsg")
}

/// Companions of one account always talk by hidden identifier; the phone talks to them by number.
fn address_peer(node: NodeBuilder, envelope: &Envelope<'_>) -> NodeBuilder {
    let sender = envelope.sender;
    let node = node.attr("category", "peer");
    if envelope.sender_device == 0 {
        return node
            .attr("from", sender.user_jid(Addressing::Number))
            .attr("sender_lid", sender.user_jid(Addressing::Lid));
    }
    node.attr("from", sender.device_jid(Addressing::Lid, envelope.sender_device))
        .attr("sender_pn", sender.user_jid(Addressing::Number))
}

fn address_own(node: NodeBuilder, envelope: &Envelope<'_>, chat: &Jid) -> NodeBuilder {
    let addressing = Addressing::of(chat);
    node.attr("from", envelope.sender.device_jid(addressing, envelope.sender_device))
        .attr("recipient", chat.to_non_ad())
        .attr("addressing_mode", mode(addressing))
}

fn address_other(node: NodeBuilder, envelope: &Envelope<'_>, chat: &Jid) -> NodeBuilder {
    let addressing = Addressing::of(chat);
    let sender = envelope.sender;
    let other_name = match addressing {
        Addressing::Number => "sender_lid",
        Addressing::Lid => "sender_pn",
    };
    node.attr("from", sender.device_jid(addressing, envelope.sender_device))
        .attr(
            other_name,
            sender.device_jid(addressing.other(), envelope.sender_device),
        )
        .attr("notify", envelope.sender_name.as_str())
        .attr("addressing_mode", mode(addressing))
}

/// Own devices and others alike.
fn address_group(node: NodeBuilder, envelope: &Envelope<'_>, group: &Jid) -> NodeBuilder {
    let (sender, device) = (envelope.sender, envelope.sender_device);
    node.attr("from", group)
        .attr("participant", sender.device_jid(Addressing::Lid, device))
        .attr("participant_pn", sender.device_jid(Addressing::Number, device))
        .attr("notify", envelope.sender_name.as_str())
        .attr("addressing_mode", mode(Addressing::Lid))
}

fn mode(addressing: Addressing) -> &'static str {
    match addressing {
        Addressing::Number => "pn",
        Addressing::Lid => "lid",
    }
}
