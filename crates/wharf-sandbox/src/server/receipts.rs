//! Receipts: what they remove from the author's queue, and to whom they are passed on (protocol brief, section 9).

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};

use crate::clock::unix_seconds;
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::{Account, Addressing, Stanza};
use crate::network::queue::Class;
use crate::store::Ticket;
use crate::wire::node::{children, encode, jid_attr, text_attr};

/// A receipt on its way from a device to an account.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub id: String,
    pub kind: Option<String>,
    /// To whom, in the addressing the conversation uses.
    pub to: Jid,
    pub recipient: Option<Jid>,
    /// In a group: the author of what it is about.
    pub participant: Option<Jid>,
    pub children: Vec<Node>,
}

impl Receipt {
    /// Baileys sends the receipt of what the account said elsewhere to nobody: it is meant for the account itself.
    pub(crate) fn read(node: &NodeRef<'_>, author: &Account) -> Option<Self> {
        let kind = text_attr(node, "type");
        let own = || {
            let is_own_copy = kind.as_deref() == Some("sender");
            is_own_copy.then(|| author.user_jid(Addressing::Number))
        };
        Some(Self {
            id: text_attr(node, "id")?,
            to: jid_attr(node, "to").or_else(own)?,
            kind,
            recipient: jid_attr(node, "recipient"),
            participant: jid_attr(node, "participant"),
            children: children(node).iter().map(NodeRef::to_owned).collect(),
        })
    }

    fn is_retry(&self) -> bool {
        matches!(self.kind.as_deref(), Some("retry" | "enc_rekey_retry"))
    }

    /// The address whose account gets it.
    fn addressee(&self) -> Option<&Jid> {
        if self.to.server == Server::Group {
            self.participant.as_ref()
        } else {
            Some(&self.to)
        }
    }

    /// Every message id the receipt names.
    pub(crate) fn ids(&self) -> Vec<String> {
        let listed = self.children.iter().filter(|child| child.tag == "list");
        let items = listed.flat_map(|list| list.children().unwrap_or_default());
        let more = items.filter_map(|item| item.attrs.get("id").map(|id| id.as_str().into_owned()));
        std::iter::once(self.id.clone()).chain(more).collect()
    }
}

/// Handles a receipt of a device: forget the stanzas it confirms, tell the others.
pub(crate) fn accept(network: &Network, author: &Account, device: DeviceId, receipt: &Receipt) -> Ticket {
    let mut ticket = 0;
    if !receipt.is_retry() {
        ticket = author.acknowledge(network, device, Class::Message, &receipt.ids());
    }
    ticket.max(forward(network, author, device, receipt))
}

/// Passes a receipt on: a retry to the one device it names, anything else to all devices of the addressee.
pub(crate) fn forward(network: &Network, author: &Account, device: DeviceId, receipt: &Receipt) -> Ticket {
    let Some((target, named)) = receipt.addressee().and_then(|jid| {
        let account = network.directory.by_jid(jid)?;
        Some((account, jid.device))
    }) else {
        return 0;
    };
    let targets = if receipt.is_retry() {
        vec![named]
    } else {
        target.state().device_ids()
    };
    let own = target.number == author.number;
    let bytes = encode(&forwarded(author, device, receipt));
    let mut ticket = 0;
    for id in targets {
        if own && id == device {
            continue;
        }
        let stanza = Stanza {
            class: Class::Receipt,
            id: receipt.id.clone(),
            bytes: bytes.clone(),
            observed: None,
        };
        ticket = ticket.max(target.deliver(network, id, &stanza).unwrap_or(0));
    }
    ticket
}

fn forwarded(author: &Account, device: DeviceId, receipt: &Receipt) -> Node {
    let group = receipt.to.server == Server::Group;
    let addressing = if group {
        Addressing::Lid
    } else {
        Addressing::of(&receipt.to)
    };
    // Baileys takes the raw `from` as the chat, so only a retry, which needs the device, may show it.
    let by = if receipt.is_retry() {
        author.device_jid(addressing, device)
    } else {
        author.user_jid(addressing)
    };
    let mut node = NodeBuilder::new("receipt")
        .attr("id", receipt.id.as_str())
        .attr("t", unix_seconds());
    node = if group {
        node.attr("from", &receipt.to)
            .attr("participant", by)
            .attr("participant_pn", author.user_jid(Addressing::Number))
    } else {
        node.attr("from", by)
    };
    if let Some(kind) = &receipt.kind {
        node = node.attr("type", kind.as_str());
    }
    if let Some(recipient) = &receipt.recipient {
        node = node.attr("recipient", recipient);
    }
    if receipt.children.is_empty() {
        node.build()
    } else {
        node.children(receipt.children.iter().cloned()).build()
    }
}
