//! What the phone shows: messages by chat, in the order they came, each id once.

use std::collections::{BTreeMap, HashMap};

use buffa::Message as _;
use serde::{Deserialize, Serialize};
use wacore_binary::Jid;

use super::content::{self, Shown};
use crate::model::{DeviceId, Message, MessageStatus, PollOption};
use crate::network::Network;
use crate::network::account::Addressing;
use crate::network::records::{Blob, encode};
use crate::store::{Batch, Kind};

/// A message with what is needed to answer it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredMessage {
    #[serde(flatten)]
    pub message: Message,
    /// The device that wrote it.
    pub device: DeviceId,
    /// Whether the conversation was addressed by hidden identifier.
    pub lid: bool,
    /// The message as it was written, encoded. Texts are made anew when they are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Blob>,
}

impl StoredMessage {
    pub(crate) fn addressing(&self) -> Addressing {
        if self.lid { Addressing::Lid } else { Addressing::Number }
    }

    /// What the server is told of what is inside (protocol brief, section 9).
    pub(crate) fn stanza_type(&self) -> &'static str {
        match self.message.kind.as_str() {
            "reaction" => "reaction",
            "poll" | "poll_vote" => "poll",
            _ if self.message.file.is_some() => "media",
            _ => "text",
        }
    }

    /// The message as it was written.
    pub(crate) fn content(&self) -> waproto::whatsapp::Message {
        let written = self.body.as_ref();
        let decoded = written.and_then(|Blob(bytes)| waproto::whatsapp::Message::decode_from_slice(bytes).ok());
        decoded.unwrap_or_else(|| content::text(&self.message.text))
    }

    /// What has to be kept of a message beside what is shown of it.
    pub(crate) fn body_of(message: &waproto::whatsapp::Message, shown: &Shown) -> Option<Blob> {
        let plain = shown.kind == "text" && message.conversation.is_some();
        (!plain).then(|| Blob(message.encode_to_vec()))
    }
}

/// What a phone shows of a message, but for who wrote it and when.
pub(crate) fn message(network: &Network, written: &waproto::whatsapp::Message, shown: Shown) -> Message {
    let ties = content::ties(written);
    let number_of = |jid: &String| {
        let account = jid.parse().ok().and_then(|jid: Jid| network.directory.by_jid(&jid))?;
        Some(account.number.clone())
    };
    Message {
        kind: shown.kind.to_owned(),
        text: shown.text,
        file: shown.file,
        about: ties.about,
        mentions: ties.mentions.iter().filter_map(number_of).collect(),
        expires_in: ties.expires_in,
        options: ties
            .options
            .into_iter()
            .map(|name| PollOption {
                name,
                voters: Vec::new(),
            })
            .collect(),
        ..Message::default()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Chats {
    chats: BTreeMap<String, Thread>,
}

#[derive(Debug, Default)]
struct Thread {
    messages: Vec<StoredMessage>,
    places: HashMap<String, usize>,
}

impl Chats {
    /// Adds a message unless the chat has it already; true if it is new.
    pub(crate) fn add(&mut self, number: &str, chat: &str, message: StoredMessage, batch: &mut Batch) -> bool {
        let thread = self.chats.entry(chat.to_owned()).or_default();
        if thread.places.contains_key(&message.message.id) {
            return false;
        }
        let place = thread.messages.len();
        save(number, chat, place, &message, batch);
        thread.push(message);
        true
    }

    /// Reads a message back. Records come in the order of their keys, which is the order of the chat.
    pub(crate) fn restore(&mut self, chat: &str, message: StoredMessage) {
        self.chats.entry(chat.to_owned()).or_default().push(message);
    }

    /// Writes down every message, under the number that the phone has now.
    pub(crate) fn save_all(&self, number: &str, batch: &mut Batch) {
        for (chat, thread) in &self.chats {
            for (place, message) in thread.messages.iter().enumerate() {
                save(number, chat, place, message, batch);
            }
        }
    }

    /// Changes a message that the chat has.
    pub(crate) fn change(
        &mut self,
        number: &str,
        chat: &str,
        id: &str,
        batch: &mut Batch,
        change: impl FnOnce(&mut StoredMessage),
    ) {
        let Some(thread) = self.chats.get_mut(chat) else {
            return;
        };
        if let Some(&place) = thread.places.get(id) {
            let stored = &mut thread.messages[place];
            change(stored);
            save(number, chat, place, stored, batch);
        }
    }

    /// Moves own messages forward after a receipt; true if any moved. A status never moves back.
    pub(crate) fn advance(
        &mut self,
        number: &str,
        chat: &str,
        ids: &[String],
        to: MessageStatus,
        batch: &mut Batch,
    ) -> bool {
        let Some(thread) = self.chats.get_mut(chat) else {
            return false;
        };
        let places: Vec<usize> = ids.iter().filter_map(|id| thread.places.get(id).copied()).collect();
        let mut moved = false;
        for place in places {
            let stored = &mut thread.messages[place];
            if stored.message.from_me && stored.message.status < to {
                stored.message.status = to;
                save(number, chat, place, stored, batch);
                moved = true;
            }
        }
        moved
    }

    /// Marks what others wrote as read and returns those messages, or `None` when there is no such chat.
    pub(crate) fn read(&mut self, number: &str, chat: &str, batch: &mut Batch) -> Option<Vec<StoredMessage>> {
        let thread = self.chats.get_mut(chat)?;
        let mut read = Vec::new();
        for (place, stored) in thread.messages.iter_mut().enumerate() {
            if !stored.message.from_me && stored.message.status != MessageStatus::Read {
                stored.message.status = MessageStatus::Read;
                save(number, chat, place, stored, batch);
                read.push(stored.clone());
            }
        }
        Some(read)
    }

    pub(crate) fn find(&self, chat: &str, id: &str) -> Option<&StoredMessage> {
        let thread = self.chats.get(chat)?;
        thread.places.get(id).map(|&place| &thread.messages[place])
    }

    /// A message with this id, whoever wrote it.
    pub(crate) fn by_id(&self, id: &str) -> Option<&StoredMessage> {
        self.chats.keys().find_map(|chat| self.find(chat, id))
    }

    /// A message this account wrote, with its chat.
    pub(crate) fn find_own(&self, id: &str) -> Option<(&str, &StoredMessage)> {
        self.chats.iter().find_map(|(chat, thread)| {
            let stored = thread.places.get(id).map(|&place| &thread.messages[place])?;
            stored.message.from_me.then_some((chat.as_str(), stored))
        })
    }

    /// Every chat with its messages as they were written, by chat name.
    pub(crate) fn threads(&self) -> impl Iterator<Item = (&str, &[StoredMessage])> {
        let threads = self.chats.iter();
        threads.map(|(chat, thread)| (chat.as_str(), thread.messages.as_slice()))
    }

    /// Every chat with its messages, by chat name.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&str, Vec<Message>)> {
        self.chats.iter().map(|(chat, thread)| {
            (
                chat.as_str(),
                thread.messages.iter().map(|stored| stored.message.clone()).collect(),
            )
        })
    }

    /// The first message that satisfies a test.
    pub(crate) fn search(&self, wanted: impl Fn(&Message) -> bool) -> Option<Message> {
        let mut messages = self.chats.values().flat_map(|thread| &thread.messages);
        messages
            .find(|stored| wanted(&stored.message))
            .map(|stored| stored.message.clone())
    }
}

impl Thread {
    fn push(&mut self, message: StoredMessage) {
        self.places.insert(message.message.id.clone(), self.messages.len());
        self.messages.push(message);
    }
}

fn save(number: &str, chat: &str, place: usize, message: &StoredMessage, batch: &mut Batch) {
    batch.put(
        Kind::Message,
        || format!("{number}/{chat}/{place:08x}"),
        || encode(message),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, Store as _};

    fn message(id: &str, from_me: bool) -> StoredMessage {
        StoredMessage {
            message: Message {
                id: id.to_owned(),
                from_me,
                from: "1".to_owned(),
                kind: "text".to_owned(),
                text: id.to_owned(),
                ..Message::default()
            },
            device: 0,
            lid: false,
            body: None,
        }
    }

    #[test]
    fn a_message_that_arrives_twice_is_shown_once() {
        let mut batch = MemoryStore::new().batch();
        let mut chats = Chats::default();
        assert!(chats.add("1", "2", message("a", false), &mut batch));
        assert!(!chats.add("1", "2", message("a", false), &mut batch));
        assert_eq!(chats.list().next().unwrap().1.len(), 1);
    }

    #[test]
    fn a_late_delivery_receipt_does_not_undo_a_read_one() {
        let mut batch = MemoryStore::new().batch();
        let mut chats = Chats::default();
        chats.add("1", "2", message("a", true), &mut batch);
        let ids = ["a".to_owned()];
        assert!(chats.advance("1", "2", &ids, MessageStatus::Read, &mut batch));
        assert!(!chats.advance("1", "2", &ids, MessageStatus::Delivered, &mut batch));
        assert_eq!(chats.find("2", "a").unwrap().message.status, MessageStatus::Read);
    }

    #[test]
    fn reading_a_chat_touches_only_what_others_wrote_and_only_once() {
        let mut batch = MemoryStore::new().batch();
        let mut chats = Chats::default();
        chats.add("1", "2", message("mine", true), &mut batch);
        chats.add("1", "2", message("theirs", false), &mut batch);
        assert_eq!(chats.read("1", "2", &mut batch).unwrap().len(), 1);
        assert_eq!(chats.read("1", "2", &mut batch).unwrap().len(), 0);
        assert!(chats.read("1", "3", &mut batch).is_none());
    }
}
