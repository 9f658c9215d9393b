//! What a phone tells the stanza log about a copy it tried to decrypt.

use sha2::{Digest as _, Sha256};
use waproto::whatsapp::Message;

use super::content::{self, Content};
use super::inbox::{Ciphertext, Head, OpenFailure, OpenedMessage};
use crate::network::Network;
use crate::network::account::Account;
use crate::observation::{Decryption, Observed};
use crate::wire::ciphertext::{hex, label};

/// Called for every copy before anything is decided about it, so a copy whose id is known is told of like the first.
pub(super) fn decrypted(
    network: &Network,
    account: &Account,
    head: &Head,
    sealed: &Ciphertext<'_>,
    opened: &Result<OpenedMessage, OpenFailure>,
) {
    network.observations.record(|| {
        let label = label(&sealed.kind, &sealed.bytes);
        let message = opened.as_ref().ok().map(|opened| &opened.message);
        let text = message.and_then(shown_text);
        Observed::Decrypted(Box::new(Decryption {
            phone: account.number.clone(),
            from_device: format!("{}:{}", head.sender.number, head.device),
            id: head.id.clone(),
            stanza: head.observed,
            kind: sealed.kind.to_string(),
            ratchet_key: label.ratchet_key,
            counter: label.counter,
            secret: message.and_then(secret).map(hex),
            text_sha256: text.as_ref().map(|text| hex(&Sha256::digest(text.as_bytes()))),
            text,
            error: opened.as_ref().err().map(ToString::to_string),
        }))
    });
}

/// The message itself, also of a copy that own devices get.
fn inner(message: &Message) -> &Message {
    let sent = message.device_sent_message.as_option();
    sent.and_then(|sent| sent.message.as_option()).unwrap_or(message)
}

fn shown_text(message: &Message) -> Option<String> {
    match content::read(inner(message)) {
        Content::Shown(shown) => Some(shown.text),
        Content::KeyRequest | Content::Silent => None,
    }
}

/// Own devices get the context beside the wrapper, everybody else inside the message.
fn secret(message: &Message) -> Option<&[u8]> {
    [message, inner(message)]
        .into_iter()
        .find_map(|message| message.message_context_info.as_option()?.message_secret.as_deref())
}
