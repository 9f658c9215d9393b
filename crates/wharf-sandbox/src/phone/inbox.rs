//! What a phone receives: it decrypts, shows, and confirms. A stanza leaves the queue in the same commit as the
//! session it advanced and the message it brought, so a killed process neither loses nor shows anything twice.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BytesMut;
use rand::rngs::StdRng;
use wacore::messages::decode_plaintext;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::node::ValueRef;
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Jid, NodeRef, OwnedNodeRef, Server};
use wacore_libsignal::protocol::SignalProtocolError;

use super::chats::StoredMessage;
use super::content::{self, Content, Shown};
use super::signal_store::address;
use super::{Phone, bootstrap, chats, effects, files, group_keys, report, retries};
use crate::model::{DeviceId, Message, MessageStatus};
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::network::queue::Queued;
use crate::network::records;
use crate::server::receipts::{self, Receipt};
use crate::store::{Batch, Kind};
use crate::wire::node::{children, content_bytes, jid_attr, text_attr};

/// Handles the oldest waiting stanza; false when none waits.
pub(super) async fn receive_next(network: &Network, account: &Arc<Account>, rng: &mut StdRng) -> bool {
    let Some(queued) = account.state().inbox.front().cloned() else {
        return false;
    };
    let mut phone = account.phone.lock().await;
    let mut batch = network.store.batch();
    let changed = handle(network, account, &mut phone, &queued, &mut batch, rng).await;
    phone.signal.save(&account.number, &mut batch);
    batch.delete(Kind::Stanza, || {
        records::stanza_key(&account.number, 0, queued.sequence)
    });
    let mut state = account.state();
    state.inbox.remove_front(queued.sequence);
    network.store.submit(batch);
    drop(state);
    drop(phone);
    if let Some(chat) = changed {
        account.announce_chat(network, chat);
    }
    true
}

/// Returns the chat that changed, if one did.
async fn handle(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    queued: &Queued,
    batch: &mut Batch,
    rng: &mut StdRng,
) -> Option<String> {
    let body = unpack_bytes(BytesMut::from(&queued.bytes[..])).ok()?;
    let stanza = OwnedNodeRef::new(body).ok()?;
    let node = stanza.get();
    match &*node.tag {
        "message" => {
            let head = Head::read(network, node, queued.observed)?;
            handle_message(network, account, phone, (&head, node), batch, rng).await
        }
        "receipt" => handle_receipt(network, account, phone, node, batch, rng).await,
        _ => None,
    }
}

async fn handle_receipt(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    node: &NodeRef<'_>,
    batch: &mut Batch,
    rng: &mut StdRng,
) -> Option<String> {
    let from = jid_attr(node, "from")?;
    let group = (from.server == Server::Group).then(|| from.clone());
    let reader = if group.is_some() {
        jid_attr(node, "participant")?
    } else {
        from.clone()
    };
    let peer = network.directory.by_jid(&reader)?;
    let kind = text_attr(node, "type");
    if kind.as_deref() == Some("retry") {
        let asker = retries::Asker {
            account: &peer,
            device: reader.device,
            group: group.as_ref(),
        };
        retries::answer(network, account, phone, asker, node, rng).await;
        return None;
    }
    if kind.as_deref() == Some("server-error") && peer.number == account.number {
        files::answer_retry(network, account, phone, node, rng);
        return None;
    }
    let to = match kind.as_deref() {
        None | Some("inactive") => MessageStatus::Delivered,
        Some("read" | "played") => MessageStatus::Read,
        Some(_) => return None,
    };
    let receipt = Receipt {
        id: text_attr(node, "id")?,
        kind,
        to: from,
        recipient: None,
        participant: None,
        children: children(node).iter().map(NodeRef::to_owned).collect(),
    };
    let chat = group.map_or_else(|| peer.number.clone(), |group| group.to_string());
    let moved = phone.chats.advance(&account.number, &chat, &receipt.ids(), to, batch);
    moved.then_some(chat)
}

async fn handle_message(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    (head, node): (&Head, &NodeRef<'_>),
    batch: &mut Batch,
    rng: &mut StdRng,
) -> Option<String> {
    let mut changed = None;
    for sealed in children(node).iter().filter_map(Ciphertext::read) {
        let opened = open(account, phone, head, &sealed, rng).await;
        report::decrypted(network, account, head, &sealed, &opened);
        match opened {
            Ok(OpenedMessage { message, used_key }) => {
                forget_key(account, used_key, batch);
                learn_key(phone, head, &message).await;
                changed = take(network, account, phone, head, message, batch, rng)
                    .await
                    .or(changed);
            }
            // The very same ciphertext again: its first copy was read, so there is nothing to ask for.
            Err(OpenFailure::Signal(SignalProtocolError::DuplicatedMessage(..))) => {}
            Err(failure) => {
                tracing::warn!(error = %failure, id = head.id, "a phone could not decrypt a message");
                if !account.state().silent {
                    retries::ask(network, account, head, sealed.attempt);
                }
                return None;
            }
        }
    }
    confirm(network, account, head);
    changed
}

/// One `<enc>` of a message.
pub(super) struct Ciphertext<'n> {
    pub kind: Cow<'n, str>,
    pub bytes: Cow<'n, [u8]>,
    /// How often the author has sent the message again.
    attempt: u32,
}

impl<'n> Ciphertext<'n> {
    fn read(node: &'n NodeRef<'_>) -> Option<Self> {
        if node.tag != "enc" {
            return None;
        }
        let bytes = match node.content_bytes() {
            Some(bytes) => Cow::Borrowed(bytes),
            None => Cow::Owned(content_bytes(node).unwrap_or_default()),
        };
        let count = node.get_attr("count").map(ValueRef::as_str);
        Some(Self {
            kind: node.get_attr("type").map(ValueRef::as_str).unwrap_or_default(),
            bytes,
            attempt: count.and_then(|count| count.parse().ok()).unwrap_or(0),
        })
    }
}

/// A message as its author wrote it, and the one-time pre-key it used up.
pub(super) struct OpenedMessage {
    pub message: waproto::whatsapp::Message,
    used_key: Option<u32>,
}

/// Why a ciphertext could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenFailure {
    #[error(transparent)]
    Signal(#[from] SignalProtocolError),
    #[error("the plaintext is no message: {0}")]
    Plaintext(String),
}

/// Who sent a message stanza, and how it was addressed.
pub(super) struct Head {
    pub id: String,
    /// The author's device.
    pub from: Jid,
    /// The group that it was sent to.
    pub group: Option<Jid>,
    pub sender: Arc<Account>,
    pub device: DeviceId,
    pub at: u64,
    /// The line of the stanza log that it came with.
    pub observed: Option<u64>,
}

impl Head {
    fn read(network: &Network, node: &NodeRef<'_>, observed: Option<u64>) -> Option<Self> {
        let chat = jid_attr(node, "from")?;
        let (group, from) = match chat.server {
            Server::Group => (Some(chat), jid_attr(node, "participant")?),
            _ => (None, chat),
        };
        let seconds = text_attr(node, "t")
            .and_then(|t| t.parse::<u64>().ok())
            .unwrap_or_default();
        Some(Self {
            id: text_attr(node, "id")?,
            sender: network.directory.by_jid(&from)?,
            device: from.device,
            from,
            group,
            at: seconds.saturating_mul(1000),
            observed,
        })
    }
}

impl Head {
    /// The name of the chat on the phone.
    fn chat(&self) -> String {
        match &self.group {
            Some(group) => group.to_string(),
            None => self.sender.number.clone(),
        }
    }

    /// Where receipts go, and of what author.
    pub(super) fn receipt_to(&self) -> (Jid, Option<Jid>) {
        match &self.group {
            Some(group) => (group.clone(), Some(self.from.clone())),
            None => (self.from.clone(), None),
        }
    }
}

async fn open(
    account: &Account,
    phone: &mut Phone,
    head: &Head,
    sealed: &Ciphertext<'_>,
    rng: &mut StdRng,
) -> Result<OpenedMessage, OpenFailure> {
    let opened = match &head.group {
        Some(group) if sealed.kind == "skmsg" => {
            let name = group_keys::name(&group.to_string(), &head.sender, head.device);
            phone.signal.open_from_group(&name, &sealed.bytes).await?
        }
        _ => {
            let peer = address(&head.sender, head.device);
            let sealed = (&*sealed.kind, &*sealed.bytes);
            phone.signal.open(account, &peer, sealed, rng).await?
        }
    };
    let message =
        decode_plaintext(&opened.plaintext, 2).map_err(|failure| OpenFailure::Plaintext(failure.to_string()))?;
    Ok(OpenedMessage {
        message,
        used_key: opened.used_key,
    })
}

/// A one-time key that started a session is gone in the commit that keeps the session.
fn forget_key(account: &Account, used: Option<u32>, batch: &mut Batch) {
    if let Some(id) = used {
        account.state().given_keys.remove(&id);
        batch.delete(Kind::PhoneKey, || records::given_key_key(&account.number, id));
    }
}

/// Takes the key that the author's device writes to the group under. Without it the phone asks for the message again.
async fn learn_key(phone: &mut Phone, head: &Head, message: &waproto::whatsapp::Message) {
    let key = message.sender_key_distribution_message.as_option();
    let key = key.and_then(|key| key.axolotl_sender_key_distribution_message.as_deref());
    if let (Some(group), Some(key)) = (&head.group, key) {
        let name = group_keys::name(&group.to_string(), &head.sender, head.device);
        if let Err(failure) = phone.signal.learn_sender_key(&name, key).await {
            tracing::warn!(error = %failure, "a phone was given a group key that is none");
        }
    }
}

/// Shows a message or does what it asks for.
pub(super) async fn take(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    head: &Head,
    mut message: waproto::whatsapp::Message,
    batch: &mut Batch,
    rng: &mut StdRng,
) -> Option<String> {
    let own = head.sender.number == account.number;
    let sent = message.device_sent_message.take().filter(|_| own);
    let (chat, message) = match sent {
        Some(sent) => (destination(network, &sent)?, sent.message.into_option()?),
        None => (head.chat(), message),
    };
    match content::read(&message) {
        Content::Shown(shown) => {
            let shown = stored(network, head, own, &message, shown);
            let new = phone.chats.add(&account.number, &chat, shown, batch);
            if new {
                let place = effects::Place {
                    network,
                    owner: &account.number,
                    chat: &chat,
                    author: &head.sender,
                };
                effects::apply(&place, &mut phone.chats, &message, batch);
            }
            new.then_some(chat)
        }
        Content::KeyRequest if own => {
            bootstrap::share_key(network, account, phone, head.device, rng).await;
            None
        }
        Content::KeyRequest | Content::Silent => None,
    }
}

fn destination(network: &Network, sent: &waproto::whatsapp::message::DeviceSentMessage) -> Option<String> {
    let jid: Jid = sent.destination_jid.as_deref()?.parse().ok()?;
    network.directory.by_jid(&jid).map(|account| account.number.clone())
}

fn stored(
    network: &Network,
    head: &Head,
    own: bool,
    written: &waproto::whatsapp::Message,
    shown: Shown,
) -> StoredMessage {
    StoredMessage {
        body: StoredMessage::body_of(written, &shown),
        message: Message {
            id: head.id.clone(),
            from_me: own,
            from: head.sender.number.clone(),
            at: head.at,
            status: if own {
                MessageStatus::Sent
            } else {
                MessageStatus::Delivered
            },
            ..chats::message(network, written, shown)
        },
        device: head.device,
        lid: Addressing::of(&head.from) == Addressing::Lid,
    }
}

/// The second tick: tells the author's devices that the message arrived. Own messages are not confirmed, and silent
/// phones confirm none.
fn confirm(network: &Network, account: &Arc<Account>, head: &Head) {
    if head.sender.number != account.number && !account.state().silent {
        let (to, participant) = head.receipt_to();
        let receipt = Receipt {
            id: head.id.clone(),
            kind: None,
            to: to.to_non_ad(),
            recipient: None,
            participant,
            children: Vec::new(),
        };
        receipts::forward(network, account, 0, &receipt);
    }
}

/// `<registration>` of a retry receipt.
pub(super) fn registration(account: &Account) -> wacore_binary::Node {
    NodeBuilder::new("registration")
        .bytes(account.keys.registration.to_be_bytes().to_vec())
        .build()
}
