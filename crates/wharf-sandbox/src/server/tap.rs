//! The place every stanza of a connection passes, read or written: faults happen here, and the log is filled.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wacore_binary::{Jid, NodeRef};
use waproto::whatsapp::ClientPayload;

use crate::fault::Action;
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::faults::{self, Fired, Moment, Scene};
use crate::network::session::Ending;
use crate::observation::{Closed, Direction, Login, LostStanza, Observed, SeenCiphertext, SeenStanza};
use crate::wire::ciphertext::{Label, label};
use crate::wire::node::{children, content_bytes, jid_attr, text_attr};

/// What becomes of a stanza on its way.
#[derive(Debug)]
pub(super) enum Passage {
    Free,
    /// Held back.
    Late {
        delay: Duration,
        rule: u64,
    },
    /// Held back until another one has passed.
    Overtaken {
        rule: u64,
    },
    Lost,
    /// It comes twice.
    Twice,
    /// It comes as something that cannot be read.
    Broken,
    /// A client's stanza that is answered with an error.
    Refused(u16),
    /// Nothing is read of the client for so long, behind this.
    Paused(Duration),
    /// It is not handled and not sent, and the connection ends here.
    Ends(Ending),
}

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

    /// Whether anybody wants to look at stanzas at all.
    pub(super) fn is_watching(&self) -> bool {
        self.network.observations.is_on() || self.network.faults.any()
    }

    /// What the faults in force make of a stanza.
    pub(super) fn pass(&self, direction: Direction, node: &NodeRef<'_>) -> Passage {
        if !self.network.faults.any() {
            return Passage::Free;
        }
        let fired = self.network.faults.at(Scene {
            account: self.subject.get().map(|subject| subject.phone.as_str()),
            subject: &self.own_name(),
            moment: Moment::Stanza(direction, node),
        });
        let Some(Fired { rule, action }) = fired else {
            return Passage::Free;
        };
        match action {
            Action::Delay(delay) => return Passage::Late { delay, rule },
            Action::Reorder => return Passage::Overtaken { rule },
            Action::Duplicate => return Passage::Twice,
            Action::Pause(pause) => return Passage::Paused(pause),
            _ => self.lost(direction, node, rule),
        }
        match action {
            Action::Refuse { code } => Passage::Refused(code),
            // What a client said and nobody can read ends its connection without a word.
            Action::Corrupt if direction == Direction::FromClient => Passage::Ends(Ending::Dropped),
            Action::Corrupt => Passage::Broken,
            _ => faults::ending(action).map_or(Passage::Lost, Passage::Ends),
        }
    }

    /// Whether a fault refuses the client at the door, and with which reason.
    pub(super) fn refused(&self, number: Option<u64>) -> Option<u16> {
        if !self.network.faults.any() {
            return None;
        }
        let account = number.map(|number| number.to_string());
        let fired = self.network.faults.at(Scene {
            account: account.as_deref(),
            subject: account.as_deref().unwrap_or_default(),
            moment: Moment::Login,
        })?;
        match fired.action {
            Action::RefuseLogin { code } => Some(code),
            _ => None,
        }
    }

    /// A stanza that arrived, or that the socket took; returns its line in the log.
    pub(super) fn saw(&self, direction: Direction, node: &NodeRef<'_>) -> Option<u64> {
        let seen = || Observed::Stanza(Box::new(self.describe(direction, node)));
        self.network.observations.record(seen)
    }

    /// A stanza that a fault took away.
    pub(super) fn lost(&self, direction: Direction, node: &NodeRef<'_>, fault: u64) {
        self.network.observations.record(|| {
            Observed::Lost(Box::new(LostStanza {
                fault,
                stanza: self.describe(direction, node),
            }))
        });
    }

    pub(super) fn login(&self, payload: &ClientPayload, refused: Option<u16>) {
        self.network.observations.record(|| {
            Observed::Login(Login {
                phone: payload.username.map(|number| number.to_string()),
                device: payload.device,
                connection: self.connection,
                refused: refused.map(|reason| reason.to_string()),
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
