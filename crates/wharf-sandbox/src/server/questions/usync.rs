//! The directory question: who exists, under which names, with which devices (protocol brief, section 8).

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};

use super::Question;
use crate::network::account::{Account, Addressing};
use crate::network::records;
use crate::server::directory::{device_hash, signed_devices};
use crate::server::{Client, Reply};
use crate::store::Kind;
use crate::wire::node::{children, content_bytes, error, jid_attr, text_attr};

/// Attributes of the request that come back in the answer.
const ECHOED: [&str; 3] = ["sid", "mode", "context"];

/// What can be asked about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Devices,
    Lid,
    Contact,
    About,
    Business,
    Picture,
    Disappearing,
}

impl Protocol {
    fn from_tag(tag: &str) -> Option<Self> {
        match tag {
            "devices" => Some(Self::Devices),
            "lid" => Some(Self::Lid),
            "contact" => Some(Self::Contact),
            "status" => Some(Self::About),
            "business" => Some(Self::Business),
            "picture" => Some(Self::Picture),
            "disappearing_mode" => Some(Self::Disappearing),
            _ => None,
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Lid => "lid",
            Self::Contact => "contact",
            Self::About => "status",
            Self::Business => "business",
            Self::Picture => "picture",
            Self::Disappearing => "disappearing_mode",
        }
    }
}

/// One user of the request, resolved.
struct Asked {
    /// The name the answer goes by: as asked, or made from the number.
    jid: Jid,
    account: Option<Arc<Account>>,
    /// The `<contact>` text, which is echoed with its suffix.
    contact: Option<String>,
}

pub(super) fn answer(client: &Client, question: &Question<'_>) -> Option<Reply> {
    let usync = question.child.filter(|child| child.tag == "usync")?;
    let protocols = read_protocols(client, usync);
    let users = usync
        .get_optional_child("list")
        .map(|list| children(list))
        .unwrap_or_default();
    let users: Vec<Node> = users
        .iter()
        .filter_map(|user| resolve(client, user))
        .map(|asked| user_node(client, &asked, &protocols))
        .collect();
    let results = protocols
        .iter()
        .map(|protocol| NodeBuilder::new(protocol.tag()).build());
    let mut node = NodeBuilder::new("usync").attr("index", "0").attr("last", "true");
    for name in ECHOED {
        if let Some(value) = text_attr(usync, name) {
            node = node.attr(name, value);
        }
    }
    let result = NodeBuilder::new("result").children(results).build();
    let list = NodeBuilder::new("list").children(users).build();
    Some(question.found(node.children([result, list]).build()))
}

/// Protocols that are not imitated are left out of the answer and counted.
fn read_protocols(client: &Client, usync: &NodeRef<'_>) -> Vec<Protocol> {
    let asked = usync
        .get_optional_child("query")
        .map(|query| children(query))
        .unwrap_or_default();
    let known = asked.iter().filter_map(|child| {
        let protocol = Protocol::from_tag(&child.tag);
        if protocol.is_none() {
            client.network.unhandled.count(format!("get usync/{}", child.tag));
        }
        protocol
    });
    known.collect()
}

fn resolve(client: &Client, user: &NodeRef<'_>) -> Option<Asked> {
    let contact = user.get_optional_child("contact").and_then(content_bytes);
    let contact = contact
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.is_empty());
    if let Some(jid) = jid_attr(user, "jid") {
        let jid = jid.to_non_ad();
        return Some(Asked {
            account: client.network.directory.by_jid(&jid),
            jid,
            contact,
        });
    }
    // Number checks may carry a server suffix (protocol brief, section 20).
    let text = contact?;
    let number = text
        .split('@')
        .next()
        .unwrap_or_default()
        .trim_start_matches('+')
        .to_owned();
    let known = client.network.directory.by_number(&number);
    // A number that can be spelled in two ways is told as the account has it.
    let jid = match &known {
        Some(account) => account.user_jid(Addressing::Number),
        None => Jid::pn(number),
    };
    Some(Asked {
        account: known,
        jid,
        contact: Some(text),
    })
}

fn user_node(client: &Client, asked: &Asked, protocols: &[Protocol]) -> Node {
    let children = protocols.iter().filter_map(|&protocol| match &asked.account {
        Some(account) => known_user(client, asked, account, protocol),
        None => unknown_user(asked, protocol),
    });
    NodeBuilder::new("user")
        .attr("jid", &asked.jid)
        .children(children)
        .build()
}

fn unknown_user(asked: &Asked, protocol: Protocol) -> Option<Node> {
    let node = NodeBuilder::new(protocol.tag());
    match protocol {
        Protocol::Contact => Some(contact(node.attr("type", "out"), asked)),
        Protocol::Lid | Protocol::Business => None,
        Protocol::Devices | Protocol::About | Protocol::Picture | Protocol::Disappearing => {
            Some(node.children([error(404, "item-not-found")]).build())
        }
    }
}

fn known_user(client: &Client, asked: &Asked, account: &Arc<Account>, protocol: Protocol) -> Option<Node> {
    let node = NodeBuilder::new(protocol.tag());
    match protocol {
        Protocol::Devices => devices(client, account),
        // Only who is asked for by number has its identifier told: Baileys would map the identifier to itself.
        Protocol::Lid if asked.jid.server == Server::Lid => None,
        Protocol::Lid => Some(node.attr("val", account.user_jid(Addressing::Lid)).build()),
        Protocol::Contact => Some(contact(node.attr("type", "in"), asked)),
        Protocol::About => Some(about(node, client, account)),
        Protocol::Business => Some(node.build()),
        Protocol::Picture => Some(node.children([error(404, "item-not-found")]).build()),
        Protocol::Disappearing => Some(node.attr("duration", "0").attr("t", "0").build()),
    }
}

/// Empty where the account shows it to nobody.
fn about(node: NodeBuilder, client: &Client, account: &Account) -> Node {
    let state = account.state();
    let hidden = state.hides("status") && account.number != client.account.number;
    node.string_content(if hidden { "" } else { state.about.as_str() })
        .build()
}

fn contact(node: NodeBuilder, asked: &Asked) -> Node {
    match &asked.contact {
        Some(text) => node.bytes(text.clone().into_bytes()).build(),
        None => node.build(),
    }
}

/// Always signed, also when only the phone is left: whatsapp-rust skips users without the signed list.
fn devices(client: &Client, account: &Arc<Account>) -> Option<Node> {
    watch(client, account);
    let mut state = account.state();
    let signed = signed_devices(&client.network, account, &mut state)?;
    let hash = device_hash(account, &state);
    let phone = NodeBuilder::new("device").attr("id", "0").build();
    let companions = state.devices.values().map(|device| {
        NodeBuilder::new("device")
            .attr("id", device.id)
            .attr("key-index", device.key_index)
            .build()
    });
    let list = NodeBuilder::new("device-list")
        .attr("hash", hash)
        .children(std::iter::once(phone).chain(companions));
    let indexes = NodeBuilder::new("key-index-list")
        .attr("ts", signed.at)
        .bytes(signed.bytes);
    Some(
        NodeBuilder::new("devices")
            .children([list.build(), indexes.build()])
            .build(),
    )
}

/// From now on the asking account hears when this one's devices change.
fn watch(client: &Client, account: &Arc<Account>) {
    let watcher = &client.account.number;
    if account.number == *watcher {
        return;
    }
    let mut state = account.state();
    if state.watchers.contains(watcher) {
        return;
    }
    state.watchers.insert(watcher.clone());
    let mut batch = client.network.store.batch();
    batch.put(
        Kind::Watcher,
        || records::watcher_key(&account.number, watcher),
        Vec::new,
    );
    client.network.store.submit(batch);
}
