//! Messages that change others of the same chat: reactions, edits, deletions and votes. They stay in the chat as what they
//! are, too.

use wacore::poll::{PollVoteAddressing, PollVoteCiphertext, compute_option_hash, decrypt_poll_vote_with_fallback};
use wacore_binary::Jid;
use waproto::whatsapp::message::{PollUpdateMessage, protocol_message};
use waproto::whatsapp::{Message, MessageKey};

use super::chats::{Chats, StoredMessage};
use super::content::{self, Content};
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::store::Batch;

/// Where a message is shown, and who wrote it.
pub(super) struct Place<'p> {
    pub network: &'p Network,
    /// The number of the phone.
    pub owner: &'p str,
    pub chat: &'p str,
    pub author: &'p Account,
}

/// Changes what the message is about, if the chat has it.
pub(super) fn apply(place: &Place<'_>, chats: &mut Chats, message: &Message, batch: &mut Batch) {
    let message = content::unwrapped(message);
    if let Some(reaction) = message.reaction_message.as_option() {
        let text = reaction.text.clone().unwrap_or_default();
        let author = place.author.number.clone();
        change(place, chats, &reaction.key, batch, |stored| {
            let reactions = &mut stored.message.reactions;
            if text.is_empty() {
                reactions.remove(&author);
            } else {
                reactions.insert(author, text);
            }
        });
    }
    if let Some(vote) = message.poll_update_message.as_option() {
        change(place, chats, &vote.poll_creation_message_key, batch, |stored| {
            count_vote(place, stored, vote);
        });
    }
    let Some(protocol) = message.protocol_message.as_option() else {
        return;
    };
    match protocol.r#type {
        Some(protocol_message::Type::MESSAGE_EDIT) => {
            if let Content::Shown(shown) = content::read(&protocol.edited_message) {
                change_own(place, chats, &protocol.key, batch, |stored| {
                    stored.message.text = shown.text;
                    stored.message.edited = true;
                });
            }
        }
        Some(protocol_message::Type::REVOKE) => change_own(place, chats, &protocol.key, batch, |stored| {
            stored.message.text.clear();
            stored.message.file = None;
            stored.message.revoked = true;
        }),
        _ => {}
    }
}

fn change(
    place: &Place<'_>,
    chats: &mut Chats,
    key: &MessageKey,
    batch: &mut Batch,
    change: impl FnOnce(&mut StoredMessage),
) {
    if let Some(id) = key.id.as_deref() {
        chats.change(place.owner, place.chat, id, batch, change);
    }
}

/// Only the author changes what a message says; in a group admins may take it back as well, which clients check.
fn change_own(
    place: &Place<'_>,
    chats: &mut Chats,
    key: &MessageKey,
    batch: &mut Batch,
    edit: impl FnOnce(&mut StoredMessage),
) {
    let group: Option<Jid> = place.chat.parse().ok();
    let group = group.and_then(|jid| place.network.groups.by_jid(&jid));
    let admin = group.is_some_and(|group| group.state().is_admin(&place.author.number));
    change(place, chats, key, batch, |stored| {
        if admin || stored.message.from == place.author.number {
            edit(stored);
        }
    });
}

/// The secret that comes with a message, for what others say about it.
pub(super) fn secret(message: &Message) -> Option<Vec<u8>> {
    [message, content::unwrapped(message)]
        .into_iter()
        .find_map(|message| message.message_context_info.as_option()?.message_secret.clone())
}

/// A vote replaces the one that the same person gave before.
fn count_vote(place: &Place<'_>, poll: &mut StoredMessage, vote: &PollUpdateMessage) {
    let Some(chosen) = open_vote(place, poll, vote) else {
        tracing::warn!(poll = poll.message.id, "a phone could not read a vote");
        return;
    };
    let voter = &place.author.number;
    for option in &mut poll.message.options {
        option.voters.retain(|known| known != voter);
        if chosen.contains(&compute_option_hash(&option.name).to_vec()) {
            option.voters.push(voter.clone());
        }
    }
}

/// The hashes of the options. Votes are sealed under the names that both sides go by, which may be either of two.
fn open_vote(place: &Place<'_>, poll: &StoredMessage, vote: &PollUpdateMessage) -> Option<Vec<Vec<u8>>> {
    let creator = place.network.directory.by_number(&poll.message.from)?;
    let secret = secret(&poll.content())?;
    let ciphertext = PollVoteCiphertext {
        enc_payload: vote.vote.enc_payload.as_deref()?,
        enc_iv: vote.vote.enc_iv.as_deref()?,
    };
    let names = |addressing| {
        let name = |account: &Account| account.user_jid(addressing).to_string();
        (name(&creator), name(place.author))
    };
    let (by_number, by_lid) = (names(Addressing::Number), names(Addressing::Lid));
    let opened = decrypt_poll_vote_with_fallback(
        ciphertext,
        &secret,
        &poll.message.id,
        addressing(&by_number),
        Some(addressing(&by_lid)),
    );
    opened.ok()
}

fn addressing((creator, voter): &(String, String)) -> PollVoteAddressing<'_> {
    PollVoteAddressing {
        poll_creator_jid: creator,
        voter_jid: voter,
    }
}
