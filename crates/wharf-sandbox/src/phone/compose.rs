//! Makes the messages that a phone sends of what its owner wants to say.

use rand::RngExt as _;
use rand::rngs::StdRng;
use wacore::poll::{compute_option_hash, encrypt_poll_vote_with_secret};
use waproto::whatsapp::message::{
    ContactMessage, ExtendedTextMessage, FutureProofMessage, LocationMessage, PollCreationMessage, PollEncValue,
    PollUpdateMessage, ProtocolMessage, ReactionMessage, poll_creation_message, protocol_message,
};
use waproto::whatsapp::{ContextInfo, Message, MessageContextInfo, MessageKey};

use super::chats::StoredMessage;
use super::outbox::Recipient;
use super::{Phone, content, effects, files};
use crate::clock::unix_millis;
use crate::error::SandboxError;
use crate::model::{NewContact, NewEdit, NewLocation, NewMessage, NewPoll, NewReaction, NewRevoke, NewVote};
use crate::network::Network;
use crate::network::account::{Account, Addressing};

const MAX_TEXT: usize = 65_536;
/// Bytes of the longest name of a place, a person or a poll.
const MAX_NAME: usize = 255;
/// As official clients allow.
const OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;
/// Bytes; the longest emoji are several characters joined.
const MAX_EMOJI: usize = 64;

/// A phone at a chat.
pub(super) struct Composer<'c> {
    pub network: &'c Network,
    pub account: &'c Account,
    pub phone: &'c Phone,
    pub to: &'c Recipient,
}

impl Composer<'_> {
    /// # Errors
    /// [`SandboxError::InvalidMessage`] for what no client can say, [`SandboxError::UnknownMessage`] when the chat lacks the
    /// message that it is about.
    pub(super) fn message(&self, new: NewMessage, rng: &mut StdRng) -> Result<Message, SandboxError> {
        match new {
            NewMessage::Text {
                text,
                reply_to,
                mentions,
                expires_in,
            } => self.text(text, reply_to.as_deref(), &mentions, expires_in),
            NewMessage::File(file) => files::message(self.network, file, rng),
            NewMessage::Location(place) => location(place),
            NewMessage::Contact(person) => contact(person),
            NewMessage::Poll(new) => poll(new, rng),
            NewMessage::Vote(vote) => self.vote(&vote),
            NewMessage::Reaction(reaction) => self.reaction(reaction),
            NewMessage::Edit(edit) => self.edit(&edit),
            NewMessage::Revoke(revoke) => self.revoke(&revoke),
        }
    }

    fn text(
        &self,
        text: String,
        reply_to: Option<&str>,
        mentions: &[String],
        expires_in: Option<u32>,
    ) -> Result<Message, SandboxError> {
        check_text(&text)?;
        if reply_to.is_none() && mentions.is_empty() && expires_in.is_none() {
            return Ok(content::text(&text));
        }
        let mut context = ContextInfo {
            expiration: expires_in,
            ..Default::default()
        };
        if let Some(id) = reply_to {
            let answered = self.find(id)?;
            context.stanza_id = Some(id.to_owned());
            context.participant = Some(self.author(answered));
            context.quoted_message = buffa::MessageField::some(answered.content());
        }
        for mention in mentions {
            let mentioned = self.network.directory.by_number(mention);
            let mentioned = mentioned.ok_or_else(|| SandboxError::UnknownRecipient(mention.clone()))?;
            context.mentioned_jid.push(self.jid_here(&mentioned));
        }
        let written = Message {
            extended_text_message: buffa::MessageField::some(ExtendedTextMessage {
                text: Some(text),
                context_info: buffa::MessageField::some(context),
                ..Default::default()
            }),
            ..Default::default()
        };
        Ok(match expires_in {
            None => written,
            // As clients send what disappears.
            Some(_) => Message {
                ephemeral_message: buffa::MessageField::some(FutureProofMessage {
                    message: buffa::MessageField::some(written),
                }),
                ..Default::default()
            },
        })
    }

    fn reaction(&self, new: NewReaction) -> Result<Message, SandboxError> {
        if new.emoji.len() > MAX_EMOJI {
            return Err(SandboxError::InvalidMessage(
                "a reaction is one emoji, or empty to take it back",
            ));
        }
        let reaction = ReactionMessage {
            key: buffa::MessageField::some(self.key(&new.message)?),
            text: Some(new.emoji),
            sender_timestamp_ms: now(),
            ..Default::default()
        };
        Ok(Message {
            reaction_message: buffa::MessageField::some(reaction),
            ..Default::default()
        })
    }

    fn edit(&self, new: &NewEdit) -> Result<Message, SandboxError> {
        check_text(&new.text)?;
        self.must_be_own(&new.message)?;
        Ok(content::protocol(ProtocolMessage {
            key: buffa::MessageField::some(self.key(&new.message)?),
            r#type: Some(protocol_message::Type::MESSAGE_EDIT),
            edited_message: buffa::MessageField::some(content::text(&new.text)),
            timestamp_ms: now(),
            ..Default::default()
        }))
    }

    fn revoke(&self, new: &NewRevoke) -> Result<Message, SandboxError> {
        self.must_be_own(&new.message)?;
        Ok(content::protocol(ProtocolMessage {
            key: buffa::MessageField::some(self.key(&new.message)?),
            r#type: Some(protocol_message::Type::REVOKE),
            ..Default::default()
        }))
    }

    fn must_be_own(&self, id: &str) -> Result<(), SandboxError> {
        if self.find(id)?.message.from_me {
            return Ok(());
        }
        Err(SandboxError::InvalidMessage("only its author changes a message"))
    }

    fn vote(&self, new: &NewVote) -> Result<Message, SandboxError> {
        let (id, chosen) = (&new.message, &new.options);
        let poll = self.find(id)?;
        let known = |name: &String| poll.message.options.iter().any(|option| option.name == *name);
        let secret = effects::secret(&poll.content()).filter(|_| chosen.iter().all(known));
        let secret = secret.ok_or(SandboxError::InvalidMessage("a vote names options of a poll"))?;
        let hashes: Vec<Vec<u8>> = chosen.iter().map(|name| compute_option_hash(name).to_vec()).collect();
        let (creator, voter) = (self.author(poll), self.jid_here(self.account));
        let sealed = encrypt_poll_vote_with_secret(&hashes, &secret, id, &creator, &voter);
        let (payload, iv) = sealed.map_err(|failure| SandboxError::Crypto(failure.to_string()))?;
        let update = PollUpdateMessage {
            poll_creation_message_key: buffa::MessageField::some(self.key(id)?),
            vote: buffa::MessageField::some(PollEncValue {
                enc_payload: Some(payload),
                enc_iv: Some(iv.to_vec()),
            }),
            sender_timestamp_ms: now(),
            ..Default::default()
        };
        Ok(Message {
            poll_update_message: buffa::MessageField::some(update),
            ..Default::default()
        })
    }

    fn find(&self, id: &str) -> Result<&StoredMessage, SandboxError> {
        let found = self.phone.chats.find(&self.to.chat(), id);
        found.ok_or_else(|| SandboxError::UnknownMessage {
            phone: self.account.number.clone(),
            message: id.to_owned(),
        })
    }

    /// What names a message of this chat.
    fn key(&self, id: &str) -> Result<MessageKey, SandboxError> {
        let found = self.find(id)?;
        let in_group = matches!(self.to, Recipient::Group(_));
        Ok(MessageKey {
            remote_jid: Some(self.to.jid().to_string()),
            from_me: Some(found.message.from_me),
            id: Some(id.to_owned()),
            participant: in_group.then(|| self.author(found)),
        })
    }

    fn author(&self, stored: &StoredMessage) -> String {
        let author = self.network.directory.by_number(&stored.message.from);
        author.map_or_else(String::new, |author| self.jid_here(&author))
    }

    /// How an account is named in this chat.
    fn jid_here(&self, account: &Account) -> String {
        let addressing = match self.to {
            Recipient::Person(_) => Addressing::Number,
            Recipient::Group(_) => Addressing::Lid,
        };
        account.user_jid(addressing).to_string()
    }
}

fn now() -> Option<i64> {
    i64::try_from(unix_millis()).ok()
}

fn check_text(text: &str) -> Result<(), SandboxError> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(SandboxError::InvalidText);
    }
    Ok(())
}

fn location(new: NewLocation) -> Result<Message, SandboxError> {
    let on_earth = (-90.0..=90.0).contains(&new.latitude) && (-180.0..=180.0).contains(&new.longitude);
    if !on_earth || new.name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
        return Err(SandboxError::InvalidMessage(
            "a place has a latitude, a longitude and a name of at most 255 bytes",
        ));
    }
    let place = LocationMessage {
        degrees_latitude: Some(new.latitude),
        degrees_longitude: Some(new.longitude),
        name: new.name,
        ..Default::default()
    };
    Ok(Message {
        location_message: buffa::MessageField::some(place),
        ..Default::default()
    })
}

/// With a card as address books exchange it (RFC 6350; clients still write version 3).
fn contact(NewContact { name, phone }: NewContact) -> Result<Message, SandboxError> {
    let digits = phone.strip_prefix('+').unwrap_or(&phone);
    let number = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let name_fits = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(['\r', '\n']);
    if !number || !name_fits {
        return Err(SandboxError::InvalidMessage(
            "a contact has a name of one line and a phone number",
        ));
    }
    let card = format!("BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL;waid={digits}:+{digits}\nEND:VCARD");
    Ok(Message {
        contact_message: buffa::MessageField::some(ContactMessage {
            display_name: Some(name),
            vcard: Some(card),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// Votes are sealed with a secret that comes with the poll.
fn poll(NewPoll { name, options, choose }: NewPoll, rng: &mut StdRng) -> Result<Message, SandboxError> {
    let fits = |text: &String| !text.is_empty() && text.len() <= MAX_NAME;
    let twice = |place: usize| options[..place].contains(&options[place]);
    if !OPTIONS.contains(&options.len()) || !options.iter().chain([&name]).all(fits) || (0..options.len()).any(twice) {
        return Err(SandboxError::InvalidMessage(
            "a poll has a name and 2 to 12 different options",
        ));
    }
    let creation = PollCreationMessage {
        name: Some(name),
        options: options
            .into_iter()
            .map(|option| poll_creation_message::Option {
                option_name: Some(option),
                ..Default::default()
            })
            .collect(),
        selectable_options_count: Some(choose),
        ..Default::default()
    };
    Ok(Message {
        poll_creation_message_v3: buffa::MessageField::some(creation),
        message_context_info: buffa::MessageField::some(MessageContextInfo {
            message_secret: Some(rng.random::<[u8; 32]>().to_vec()),
            ..Default::default()
        }),
        ..Default::default()
    })
}
