//! The place every stanza of a connection passes, read or written: the stanza log is filled here.

use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Jid, NodeRef, OwnedNodeRef};

use crate::model::DeviceId;
use crate::network::Network;
use crate::observation::{Closed, Direction, Login, Observed, SeenCiphertext, SeenStanza};
use crate::wire::ciphertext::{Label, label};
use crate::wire::node::{children, content_bytes, jid_attr, text_attr};

/// What a connection is known by in the log.
#[derive(Debug)]
pub(super) struct Tap {
    network: Arc<Network>,
    connection: u64,
    subject: OnceLock<Subject>,
}

/// The linked device behind a connection.
#[derive(Debug)]
struct Subject {
    phone: String,
    device: DeviceId,
}

impl Tap {
    pub(super) fn new(network: Arc<Network>) -> Self {
        Self {
            connection: network.next_connection(),
            network,
            subject: OnceLock::new(),
        }
    }

    /// The client behind the connection has proved who it is.
    pub(super) fn identified(&self, phone: &str, device: DeviceId) {
        let phone = phone.to_owned();
        self.subject.get_or_init(|| Subject { phone, device });
    }

    /// A stanza of the client; returns its line in the log.
    pub(super) fn received(&self, node: &NodeRef<'_>) -> Option<u64> {
        self.record(Direction::FromClient, node)
    }

    /// Encoded stanzas that the socket took.
    pub(super) fn sent<'b>(&self, nodes: impl Iterator<Item = &'b [u8]>) {
        if !self.network.observations.is_on() {
            return;
        }
        for encoded in nodes {
            // What is sent was encoded here, so it can be read back.
            let body = unpack_bytes(BytesMut::from(encoded)).ok();
            if let Some(stanza) = body.and_then(|body| OwnedNodeRef::new(body).ok()) {
                self.record(Direction::ToClient, stanza.get());
            }
        }
    }

    pub(super) fn login(&self, phone: Option<String>, device: Option<u32>, refused: Option<&str>) {
        self.network.observations.record(|| {
            Observed::Login(Login {
                phone,
                device,
                connection: self.connection,
                refused: refused.map(str::to_owned),
            })
        });
    }

    pub(super) fn closed(&self, reason: &str) {
        self.network.observations.record(|| {
            Observed::Closed(Closed {
                connection: self.connection,
                phone: self.phone(),
                device: self.device(),
                reason: reason.to_owned(),
            })
        });
    }

    fn phone(&self) -> Option<String> {
        self.subject.get().map(|subject| subject.phone.clone())
    }

    fn device(&self) -> Option<DeviceId> {
        self.subject.get().map(|subject| subject.device)
    }

    fn record(&self, direction: Direction, node: &NodeRef<'_>) -> Option<u64> {
        let seen = || Observed::Stanza(Box::new(self.describe(direction, node)));
        self.network.observations.record(seen)
    }

    fn describe(&self, direction: Direction, node: &NodeRef<'_>) -> SeenStanza {
        SeenStanza {
            connection: self.connection,
            phone: self.phone(),
            device: self.device(),
            direction,
            tag: node.tag.to_string(),
            id: text_attr(node, "id"),
            kind: text_attr(node, "type"),
            class: text_attr(node, "class"),
            to: text_attr(node, "to"),
            from: text_attr(node, "from"),
            participant: text_attr(node, "participant"),
            recipient: text_attr(node, "recipient"),
            error: error_of(node),
            more_ids: listed_ids(node),
            enc: self.ciphertexts(direction, node),
        }
    }

    fn ciphertexts(&self, direction: Direction, node: &NodeRef<'_>) -> Vec<SeenCiphertext> {
        if &*node.tag != "message" {
            return Vec::new();
        }
        let fan_out = node
            .get_optional_child("participants")
            .map(children)
            .unwrap_or_default();
        let copies = fan_out.iter().flat_map(|copy| {
            let recipient = self.name(jid_attr(copy, "jid"));
            sealed(copy).map(move |(kind, label)| seen(recipient.clone(), kind, label))
        });
        let addressee = match direction {
            Direction::FromClient => self.name(jid_attr(node, "to")),
            Direction::ToClient => self.own_name(),
        };
        let single = sealed(node).map(|(kind, label)| seen(addressee.clone(), kind, label));
        copies.chain(single).collect()
    }

    fn own_name(&self) -> String {
        let subject = self.subject.get();
        subject.map_or_else(String::new, |subject| format!("{}:{}", subject.phone, subject.device))
    }

    /// A device by its account's number, whichever name is on the wire.
    fn name(&self, jid: Option<Jid>) -> String {
        let Some(jid) = jid else { return String::new() };
        match self.network.directory.by_jid(&jid) {
            Some(account) => format!("{}:{}", account.number, jid.device),
            None => jid.to_string(),
        }
    }
}

fn seen(recipient: String, kind: String, label: Label) -> SeenCiphertext {
    SeenCiphertext {
        recipient,
        kind,
        ratchet_key: label.ratchet_key,
        counter: label.counter,
    }
}

fn sealed(node: &NodeRef<'_>) -> impl Iterator<Item = (String, Label)> {
    let sealed = children(node).iter().filter(|child| &*child.tag == "enc");
    sealed.map(|enc| {
        let kind = text_attr(enc, "type").unwrap_or_default();
        let label = label(&kind, &content_bytes(enc).unwrap_or_default());
        (kind, label)
    })
}

fn error_of(node: &NodeRef<'_>) -> Option<String> {
    let code = match &*node.tag {
        "ack" => return text_attr(node, "error"),
        "failure" => return text_attr(node, "reason"),
        "stream:error" => text_attr(node, "code"),
        _ => None,
    };
    let child = || {
        node.get_optional_child("error")
            .and_then(|error| text_attr(error, "code"))
    };
    let conflict = || {
        node.get_optional_child("conflict")
            .and_then(|child| text_attr(child, "type"))
    };
    code.or_else(child).or_else(conflict)
}

fn listed_ids(node: &NodeRef<'_>) -> Vec<String> {
    let list = node.get_optional_child("list").filter(|_| &*node.tag == "receipt");
    let items = list.map(children).unwrap_or_default();
    items.iter().filter_map(|item| text_attr(item, "id")).collect()
}
