//! What a phone sends: a text goes to every device of the recipient and, marked as sent by us, to every companion.

use std::sync::Arc;

use buffa::Message as _;
use rand::rngs::StdRng;
use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};

use super::chats::{self, StoredMessage};
use super::compose::Composer;
use super::content::{self, Content, Shown};
use super::effects::{self, Place};
use super::signal_store::{Sealed, address};
use super::{Phone, group_keys};
use crate::clock::{unix_millis, unix_seconds};
use crate::error::SandboxError;
use crate::model::{DeviceId, Message, NewMessage, Typing};
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::network::groups::Group;
use crate::server::directory;
use crate::server::groups::Refused;
use crate::server::presence;
use crate::server::receipts::{self, Receipt};
use crate::server::routing::{self, Envelope};
use crate::server::strangers;

/// Message ids one read receipt may name.
const MAX_READ_IDS: usize = 200;

/// Whom a phone writes to.
#[derive(Debug, Clone)]
pub(crate) enum Recipient {
    Person(Arc<Account>),
    Group(Arc<Group>),
}

impl Recipient {
    /// The name of the chat on the phone: a number, or the JID of a group.
    pub(crate) fn chat(&self) -> String {
        match self {
            Self::Person(account) => account.number.clone(),
            Self::Group(group) => group.jid().to_string(),
        }
    }

    pub(crate) fn jid(&self) -> Jid {
        match self {
            Self::Person(account) => account.user_jid(Addressing::Number),
            Self::Group(group) => group.jid(),
        }
    }
}

/// Sends a message and returns its id once it is shown in the phone's chat and queued for every device.
pub(crate) async fn send(
    network: &Network,
    account: &Arc<Account>,
    to: &Recipient,
    new: NewMessage,
) -> Result<String, SandboxError> {
    if let Recipient::Person(person) = to {
        may_write(network, account, person)?;
    }
    let id = network.stanza_id(&account.number);
    let mut phone = account.phone.lock().await;
    let mut rng = network.rng();
    let composer = Composer {
        network,
        account,
        phone: &phone,
        to,
    };
    let message = composer.message(new, &mut rng)?;
    let mut copies = match to {
        Recipient::Person(person) => seal_for_person(network, account, &mut phone, person, &message, &mut rng).await,
        Recipient::Group(group) => {
            may_send(account, group)?;
            group_keys::seal_for_group(network, account, &mut phone, group, &message, &mut rng).await?
        }
    };
    let shown = own_message(network, account, &id, &message);
    let envelope = Envelope {
        kind: shown.stanza_type().to_owned(),
        passed: edit_code(&shown.message)
            .map(|code| ("edit", code))
            .into_iter()
            .collect(),
        ..envelope(account, Some(to.jid()), &id)
    };
    show_own(network, account, &mut phone, &to.chat(), shown, &message);
    // Phones last: they answer at once, and no answer is to overtake the other copies.
    copies.sort_by_key(|copy| copy.device == 0);
    for copy in &copies {
        routing::deliver(network, &envelope, &copy.account, copy.device, &copy.nodes);
    }
    if let Recipient::Person(person) = to {
        strangers::introduce(network, account, person, envelope.at);
    }
    drop(phone);
    account.announce_chat(network, to.chat());
    Ok(id)
}

fn may_write(network: &Network, account: &Account, person: &Account) -> Result<(), SandboxError> {
    strangers::may_phone_write(network, account, person)
        .map_err(|code| SandboxError::NotAllowed(format!("{code}, a chat with {} cannot be started", person.number)))
}

fn may_send(account: &Account, group: &Group) -> Result<(), SandboxError> {
    if group.state().may_write(&account.number) {
        return Ok(());
    }
    Err(SandboxError::NotAllowed(Refused::Forbidden.to_string()))
}

/// What is sealed for one device.
pub(super) struct Copy {
    pub account: Arc<Account>,
    pub device: DeviceId,
    pub nodes: Vec<Node>,
}

/// For every device of the person and, marked as sent by us, for every companion.
async fn seal_for_person(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    person: &Arc<Account>,
    message: &waproto::whatsapp::Message,
    rng: &mut StdRng,
) -> Vec<Copy> {
    let chat = person.user_jid(Addressing::Number);
    let own_copy = content::sent_to(chat.to_string(), message.clone());
    let mut copies = Vec::new();
    if person.number != account.number {
        copies.extend(seal_for_all(network, phone, person, message, None, rng).await);
    }
    copies.extend(seal_for_all(network, phone, account, &own_copy, Some(0), rng).await);
    copies
}

/// Encrypts for every device of an account, except one.
async fn seal_for_all(
    network: &Network,
    phone: &mut Phone,
    target: &Arc<Account>,
    message: &waproto::whatsapp::Message,
    except: Option<DeviceId>,
    rng: &mut StdRng,
) -> Vec<Copy> {
    let plaintext = MessageUtils::encode_and_pad(message);
    let mut copies = Vec::new();
    let devices = target.state().device_ids();
    for device in devices.into_iter().filter(|&device| Some(device) != except) {
        match seal(network, phone, target, device, &plaintext, rng).await {
            Ok(sealed) => copies.push(Copy {
                account: Arc::clone(target),
                device,
                nodes: vec![sealed_node(&sealed, 0)],
            }),
            Err(failure) => tracing::warn!(error = %failure, device, "a phone could not encrypt for a device"),
        }
    }
    copies
}

/// Encrypts for one device and starts a session with it first if there is none.
pub(super) async fn seal(
    network: &Network,
    phone: &mut Phone,
    target: &Account,
    device: DeviceId,
    plaintext: &[u8],
    rng: &mut StdRng,
) -> Result<Sealed, SandboxError> {
    let peer = address(target, device);
    if !phone.signal.has_session(&peer) {
        let unknown = || SandboxError::UnknownDevice {
            phone: target.number.clone(),
            device,
        };
        let bundle = directory::bundle(network, target, device).ok_or_else(unknown)?;
        phone.signal.start(&peer, &bundle, rng).await?;
    }
    Ok(phone.signal.seal(&peer, plaintext).await?)
}

/// `<enc>`, with the attempt number when it answers a retry receipt.
pub(super) fn sealed_node(sealed: &Sealed, attempt: u32) -> Node {
    let node = NodeBuilder::new("enc").attr("v", "2").attr("type", sealed.kind);
    let node = if attempt > 0 { node.attr("count", attempt) } else { node };
    node.bytes(sealed.bytes.clone()).build()
}

pub(super) fn envelope<'a>(account: &'a Account, chat: Option<Jid>, id: &str) -> Envelope<'a> {
    Envelope {
        sender: account,
        sender_name: account.state().name.clone(),
        sender_device: 0,
        passed: if chat.is_none() {
            vec![("push_priority", "high".to_owned())]
        } else {
            Vec::new()
        },
        chat,
        id: id.to_owned(),
        kind: "text".to_owned(),
        at: unix_seconds(),
        shared: Vec::new(),
        device_identity: None,
        observed: None,
    }
}

/// What the server is told of messages that change others (protocol brief, section 9).
fn edit_code(message: &Message) -> Option<String> {
    match message.kind.as_str() {
        "edit" => Some("1".to_owned()),
        "revoke" => Some("7".to_owned()),
        _ => None,
    }
}

fn own_message(network: &Network, account: &Account, id: &str, written: &waproto::whatsapp::Message) -> StoredMessage {
    let shown = match content::read(written) {
        Content::Shown(shown) => shown,
        // A phone is asked to send only what can be shown.
        Content::KeyRequest | Content::Silent => Shown::nothing(),
    };
    StoredMessage {
        body: StoredMessage::body_of(written, &shown),
        message: Message {
            id: id.to_owned(),
            from_me: true,
            from: account.number.clone(),
            at: unix_millis(),
            ..chats::message(network, written, shown)
        },
        device: 0,
        lid: false,
    }
}

/// Commits the sessions together with the message, before any ciphertext leaves: a counter is never used twice.
fn show_own(
    network: &Network,
    account: &Account,
    phone: &mut Phone,
    chat: &str,
    message: StoredMessage,
    written: &waproto::whatsapp::Message,
) {
    let mut batch = network.store.batch();
    phone.signal.save(&account.number, &mut batch);
    phone.chats.add(&account.number, chat, message, &mut batch);
    let place = Place {
        network,
        owner: &account.number,
        chat,
        author: account,
    };
    effects::apply(&place, &mut phone.chats, written, &mut batch);
    network.store.submit(batch);
}

/// Shows the other side that the phone's owner writes.
pub(crate) fn type_in(network: &Network, account: &Account, to: &Jid, typing: Typing) {
    let state = match typing {
        Typing::Composing => NodeBuilder::new("composing"),
        Typing::Recording => NodeBuilder::new("composing").attr("media", "audio"),
        Typing::Paused => NodeBuilder::new("paused"),
    };
    presence::tell_chat_state(network, account, to, vec![state.build()]);
}

/// Marks a chat as read and tells the authors, unless the phone is offline: then nobody hears of it.
pub(crate) async fn mark_read(network: &Network, account: &Arc<Account>, chat: &str) -> Result<(), SandboxError> {
    let mut phone = account.phone.lock().await;
    let mut batch = network.store.batch();
    let unknown = || SandboxError::UnknownChat {
        phone: account.number.clone(),
        chat: chat.to_owned(),
    };
    let read = phone
        .chats
        .read(&account.number, chat, &mut batch)
        .ok_or_else(unknown)?;
    network.store.submit(batch);
    drop(phone);
    let tells = {
        let state = account.state();
        state.online && !state.hides("readreceipts")
    };
    if tells {
        for (to, participant, messages) in readers(network, chat, &read) {
            let chunks = messages.chunks(MAX_READ_IDS);
            chunks.for_each(|chunk| tell_read(network, account, &to, participant.as_ref(), chunk));
        }
    }
    account.announce_chat(network, chat.to_owned());
    Ok(())
}

/// Where receipts go, on whose behalf in a group, and for what.
type Readers<'r> = Vec<(Jid, Option<Jid>, Vec<&'r StoredMessage>)>;

/// Receipts name what one author wrote under one address.
fn readers<'r>(network: &Network, chat: &str, read: &'r [StoredMessage]) -> Readers<'r> {
    let group = chat.parse::<Jid>().ok().filter(|jid| jid.server == Server::Group);
    let mut readers: Readers<'_> = Vec::new();
    for stored in read {
        let Some(author) = network.directory.by_number(&stored.message.from) else {
            continue;
        };
        let author = author.user_jid(stored.addressing());
        let (to, participant) = match &group {
            Some(group) => (group.clone(), Some(author)),
            None => (author, None),
        };
        match readers.iter_mut().find(|known| known.0 == to && known.1 == participant) {
            Some(known) => known.2.push(stored),
            None => readers.push((to, participant, vec![stored])),
        }
    }
    readers
}

fn tell_read(network: &Network, account: &Account, to: &Jid, participant: Option<&Jid>, read: &[&StoredMessage]) {
    let Some((first, more)) = read.split_first() else {
        return;
    };
    let items = more
        .iter()
        .map(|stored| NodeBuilder::new("item").attr("id", stored.message.id.as_str()).build());
    let list: Vec<_> = items.collect();
    let receipt = Receipt {
        id: first.message.id.clone(),
        kind: Some("read".to_owned()),
        to: to.clone(),
        recipient: None,
        participant: participant.cloned(),
        children: if list.is_empty() {
            Vec::new()
        } else {
            vec![NodeBuilder::new("list").children(list).build()]
        },
    };
    receipts::forward(network, account, 0, &receipt);
}

/// Encodes a message between own devices.
pub(super) fn pad(message: &waproto::whatsapp::Message) -> Vec<u8> {
    debug_assert!(!message.encode_to_vec().is_empty());
    MessageUtils::encode_and_pad(message)
}
