//! What strangers may do, and the tokens by which somebody stops being one.

use wacore_binary::NodeRef;

use super::{Client, notifications};
use crate::network::Network;
use crate::network::account::Account;
use crate::network::contacts::{self, Contact, Shown};
use crate::network::records;
use crate::store::{Kind, Ticket};
use crate::wire::node::child_bytes;

/// The sender showed no token, or may not start a chat now.
const NO_TOKEN: u16 = 463;
/// The sender started as many chats as it may.
const TOO_MANY_CHATS: u16 = 475;

/// The tokens that a client shows with what it wants.
pub(super) fn shown(node: &NodeRef<'_>) -> Shown {
    Shown {
        trusted: child_bytes(node, "tctoken"),
        salted: child_bytes(node, "cstoken"),
    }
}

/// Whether a client may write to an account; otherwise the code of the error.
pub(super) fn may_write(client: &Client, node: &NodeRef<'_>, target: &Account) -> Result<(), u16> {
    admit(&client.network, &client.account, target, &shown(node))
}

/// The same for a phone, which has every token that it was given and makes the others.
pub(crate) fn may_phone_write(network: &Network, sender: &Account, target: &Account) -> Result<(), u16> {
    let tokens = Shown {
        trusted: Some(contacts::trusted_token(target, sender).to_vec()),
        salted: Some(contacts::salted_token(sender, target).to_vec()),
    };
    admit(network, sender, target, &tokens)
}

/// Lets a message through or not; from the first one on the two know each other.
fn admit(network: &Network, sender: &Account, target: &Account, shown: &Shown) -> Result<(), u16> {
    if sender.number == target.number {
        return Ok(());
    }
    if !contacts::lets_through(target, sender, shown) {
        return Err(NO_TOKEN);
    }
    if knows(sender, target) {
        return Ok(());
    }
    may_start(sender)?;
    let wrote = |started| {
        move |contact: &mut Contact| {
            contact.wrote = true;
            contact.started = started;
        }
    };
    change(network, sender, target, wrote(true));
    change(network, target, sender, wrote(false));
    Ok(())
}

fn knows(account: &Account, other: &Account) -> bool {
    let state = account.state();
    state.contacts.get(&other.number).is_some_and(|contact| contact.wrote)
}

/// O(contacts), once per chat, and only when they are counted.
fn may_start(sender: &Account) -> Result<(), u16> {
    let state = sender.state();
    if state.rules.is_locked() {
        return Err(NO_TOKEN);
    }
    match state.rules.new_chats {
        Some(most) if state.started_chats() >= most => Err(TOO_MANY_CHATS),
        _ => Ok(()),
    }
}

fn change(network: &Network, account: &Account, other: &Account, change: impl FnOnce(&mut Contact)) -> Ticket {
    let mut state = account.state();
    let contact = state.contacts.entry(other.number.clone()).or_default();
    change(contact);
    let kept = *contact;
    let mut batch = network.store.batch();
    batch.put(
        Kind::Contact,
        || records::contact_key(&account.number, &other.number),
        || records::encode(&kept),
    );
    network.store.submit(batch)
}

/// An account gives its token to another one, whose companions hear of it.
pub(crate) fn give_token(network: &Network, giver: &Account, taker: &Account, at: u64) -> Ticket {
    if giver.number == taker.number {
        return 0;
    }
    let ticket = change(network, giver, taker, |contact| contact.gave_token = true);
    notifications::token_given(network, giver, taker, &contacts::trusted_token(giver, taker), at);
    ticket
}

/// A phone gives its token to whom it writes, once.
pub(crate) fn introduce(network: &Network, giver: &Account, taker: &Account, at: u64) {
    let given = giver
        .state()
        .contacts
        .get(&taker.number)
        .is_some_and(|contact| contact.gave_token);
    if !given {
        give_token(network, giver, taker, at);
    }
}
