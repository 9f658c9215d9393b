//! A companion that really encrypts, made of the bare pieces: it can send one message twice, or the same ciphertext
//! again, as no real client would.

use std::collections::HashMap;

use async_trait::async_trait;
use buffa::MessageField;
use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::error::Result as SignalResult;
use wacore_libsignal::protocol::{
    CiphertextMessageType, Direction, IdentityChange, IdentityKey, IdentityKeyPair, IdentityKeyStore, PreKeyBundle,
    ProtocolAddress, PublicKey, SessionRecord, SessionStore, UsePQRatchet, message_encrypt, process_prekey_bundle,
};
use waproto::whatsapp as wa;
use wharf_sandbox::Sandbox;

use crate::raw_client::*;

pub struct Companion {
    pub client: RawClient,
    pub keys: Keys,
    pub phone: String,
    pub device: u16,
    sessions: Sessions,
    identities: Identities,
}

#[derive(Default)]
struct Sessions(HashMap<String, SessionRecord>);

struct Identities(IdentityKeyPair);

impl Companion {
    /// Links a companion to the phone, logs it in and asks for its queue.
    pub async fn linked(sandbox: &Sandbox, phone: &str) -> Self {
        let (keys, device) = link(sandbox, phone).await;
        Self::logged_in(sandbox, keys, phone, device).await
    }

    /// Logs a linked companion in and asks for its queue.
    pub async fn logged_in(sandbox: &impl Reach, keys: Keys, phone: &str, device: u16) -> Self {
        let mut client = log_in(sandbox, &keys, phone, device).await;
        activate(&mut client).await;
        let pair = &keys.device.identity_key;
        let identity = IdentityKeyPair::new(IdentityKey::new(pair.public_key), pair.private_key.clone());
        Self {
            client,
            keys,
            phone: phone.to_owned(),
            device,
            sessions: Sessions::default(),
            identities: Identities(identity),
        }
    }

    pub async fn log_in_again(&mut self, sandbox: &impl Reach) {
        self.client = log_in(sandbox, &self.keys, &self.phone, self.device).await;
        activate(&mut self.client).await;
    }

    /// A text for the phone of another account, with a message secret of 32 equal bytes.
    pub async fn text(&mut self, to: &str, id: &str, text: &str, secret: u8) -> Node {
        let context = wa::MessageContextInfo {
            message_secret: Some(vec![secret; 32]),
            ..Default::default()
        };
        let message = wa::Message {
            conversation: Some(text.to_owned()),
            message_context_info: MessageField::some(context),
            ..Default::default()
        };
        self.fan_out(&[to], id, &message).await
    }

    /// A text for the phone of another account and for the own phone, as real clients send it.
    pub async fn text_and_own_copy(&mut self, to: &str, id: &str, text: &str) -> Node {
        let message = wa::Message {
            conversation: Some(text.to_owned()),
            ..Default::default()
        };
        let own = self.phone.clone();
        self.fan_out(&[to, &own], id, &message).await
    }

    /// A message for the phones of these accounts.
    pub async fn fan_out(&mut self, to: &[&str], id: &str, message: &wa::Message) -> Node {
        let plaintext = MessageUtils::encode_and_pad(message);
        let mut copies = Vec::new();
        for phone in to {
            let sealed = self.seal(phone, &plaintext).await;
            let copy = NodeBuilder::new("to").attr("jid", Jid::pn(*phone));
            copies.push(copy.children([sealed]).build());
        }
        NodeBuilder::new("message")
            .attr("id", id)
            .attr("type", "text")
            .attr("to", Jid::pn(to[0]))
            .children([NodeBuilder::new("participants").children(copies).build()])
            .build()
    }

    async fn seal(&mut self, to: &str, plaintext: &[u8]) -> Node {
        let peer = ProtocolAddress::new(to, 0.into());
        if !self.sessions.0.contains_key(peer.as_str()) {
            let bundle = self.bundle(to).await;
            let (sessions, identities) = (&mut self.sessions, &mut self.identities);
            process_prekey_bundle(&peer, sessions, identities, &bundle, &mut rand::rng(), UsePQRatchet::No)
                .await
                .unwrap();
        }
        let sealed = message_encrypt(plaintext, &peer, &mut self.sessions, &mut self.identities)
            .await
            .unwrap();
        let kind = match sealed.message_type() {
            CiphertextMessageType::PreKey => "pkmsg",
            _ => "msg",
        };
        NodeBuilder::new("enc")
            .attr("v", "2")
            .attr("type", kind)
            .bytes(sealed.serialize().to_vec())
            .build()
    }

    async fn bundle(&mut self, of: &str) -> PreKeyBundle {
        let user = NodeBuilder::new("user").attr("jid", Jid::pn(of)).build();
        let asked = NodeBuilder::new("key").children([user]).build();
        let answer = self.client.ask("get", "encrypt", Some(asked)).await;
        let user = child(child(&answer, "list"), "user");
        let (one_time, signed) = (child(user, "key"), child(user, "skey"));
        let key = |node| PublicKey::from_djb_public_key_bytes(&bytes_of(node)).unwrap();
        PreKeyBundle::new(
            number(child(user, "registration")),
            0.into(),
            Some((number(child(one_time, "id")).into(), key(child(one_time, "value")))),
            number(child(signed, "id")).into(),
            key(child(signed, "value")),
            bytes_of(child(signed, "signature")),
            IdentityKey::new(key(child(user, "identity"))),
        )
        .unwrap()
    }
}

fn child<'n>(node: &'n Node, tag: &str) -> &'n Node {
    node.get_optional_child(tag).unwrap_or_else(|| panic!("no <{tag}>"))
}

fn number(node: &Node) -> u32 {
    bytes_of(node)
        .iter()
        .fold(0, |number, &byte| number << 8 | u32::from(byte))
}

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.0.get(address.as_str()).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.0.contains_key(address.as_str()))
    }

    async fn store_session(&mut self, address: &ProtocolAddress, record: SessionRecord) -> SignalResult<()> {
        self.0.insert(address.as_str().to_owned(), record);
        Ok(())
    }
}

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.0.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(9)
    }

    async fn save_identity(&mut self, _: &ProtocolAddress, _: &IdentityKey) -> SignalResult<IdentityChange> {
        Ok(IdentityChange::NewOrUnchanged)
    }

    async fn is_trusted_identity(&self, _: &ProtocolAddress, _: &IdentityKey, _: Direction) -> SignalResult<bool> {
        Ok(true)
    }

    async fn get_identity(&self, _: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(None)
    }
}
