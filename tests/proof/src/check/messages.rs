//! Accepted messages on their way.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::index::{Accepted, Index, rank, status_of};
use crate::recording::Millis;

pub(super) fn accepted_is_on_the_wire(index: &Index<'_>) -> Vec<String> {
    let missing = index.accepted.values().filter(|accepted| {
        let recipient = format!("{}:0", accepted.request.to);
        !index
            .wire_of(accepted)
            .iter()
            .any(|(_, stanza)| stanza.enc.iter().any(|copy| copy.recipient == recipient))
    });
    missing
        .map(|accepted| format!("{} was accepted and never on the wire", name(accepted)))
        .collect()
}

pub(super) fn one_whatsapp_id_per_message(index: &Index<'_>) -> Vec<String> {
    let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut texts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (text, id) in told(index) {
        ids.entry(text).or_default().insert(id);
        texts.entry(id).or_default().insert(text);
    }
    let several = |(what, found): (&str, BTreeSet<&str>)| {
        (found.len() > 1).then(|| {
            format!(
                "{what:?} goes with {}",
                found.into_iter().collect::<Vec<_>>().join(", ")
            )
        })
    };
    let many_ids = ids.into_iter().filter_map(several);
    let many_texts = texts.into_iter().filter_map(several);
    many_ids.chain(many_texts).collect()
}

/// Everybody who says under which id a message goes: the text, which names the message, and the id.
fn told<'a>(index: &'a Index<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let answers = index
        .answers
        .iter()
        .map(|answer| (answer.request.text.as_str(), answer.whatsapp_id));
    let ours = |text: &str| index.by_text.contains_key(text);
    let phones = index.decryptions.iter().filter_map(|decryption| {
        let text = decryption.text.as_deref()?;
        Some((text, decryption.id.as_str()))
    });
    let peer = index.recording.peer.iter().filter_map(move |line| {
        let text = line
            .text
            .as_deref()
            .filter(|text| line.event == "message" && ours(text))?;
        Some((text, line.id.as_deref()?))
    });
    let texts: HashMap<&str, &str> = index
        .accepted
        .values()
        .map(|accepted| (accepted.message, accepted.request.text.as_str()))
        .collect();
    let by_message = texts.clone();
    let events = index.recording.log.iter().filter_map(move |event| {
        let own = event
            .message
            .as_deref()
            .and_then(|message| by_message.get(message).copied());
        let received = || event.text.as_deref().filter(|text| ours(text));
        Some((own.or_else(received)?, event.whatsapp_id.as_deref()?))
    });
    let shown = index.recording.messages.iter().filter_map(move |message| {
        let text = texts.get(message.id.as_str()).copied()?;
        Some((text, message.whatsapp_id.as_str()))
    });
    answers.chain(phones).chain(peer).chain(events).chain(shown)
}

pub(super) fn nothing_else_is_on_the_wire(index: &Index<'_>) -> Vec<String> {
    let mut faults = unread(index);
    for decryption in &index.decryptions {
        let Some(text) = &decryption.text else { continue };
        let Some(asked) = index.by_text.get(text.as_str()) else {
            faults.push(format!(
                "{} of {} says what nobody asked for",
                decryption.id, decryption.from_device
            ));
            continue;
        };
        let session = index.devices[&decryption.from_device];
        // The account's own phone shows what its companions send.
        let reader = [&asked.request.to, &session.device.phone].contains(&&decryption.phone);
        if session.id != asked.request.session || !reader {
            faults.push(format!("{} went astray: {} read it", name(asked), decryption.phone));
        }
    }
    for line in index.recording.peer.iter().filter(|line| line.event == "message") {
        let from = line.from_phone.as_deref().unwrap_or_default();
        let (Some(session), Some(text)) = (index.session_phones.get(from), &line.text) else {
            continue;
        };
        let asked = index.by_text.get(text.as_str());
        let peer = index.recording.about.peer.as_ref();
        let right = asked.is_some_and(|asked| {
            asked.request.session == session.id && peer.is_some_and(|peer| peer.phone == asked.request.to)
        });
        let by_the_phone = index.recording.inbound.iter().any(|sent| sent.text == *text);
        if !right && !by_the_phone {
            faults.push(format!("the companion read what nobody asked for: {text:?}"));
        }
    }
    faults
}

/// Messages on the wire whose recipient never read what they say.
fn unread(index: &Index<'_>) -> Vec<String> {
    let read: HashSet<(&str, &str, Option<&str>)> = index
        .decryptions
        .iter()
        .map(|decryption| {
            (
                decryption.phone.as_str(),
                decryption.id.as_str(),
                decryption.text.as_deref(),
            )
        })
        .collect();
    let sent = index
        .accepted
        .values()
        .filter(|accepted| !index.wire_of(accepted).is_empty());
    let missing = sent.filter(|accepted| {
        let request = accepted.request;
        !read.contains(&(request.to.as_str(), accepted.whatsapp_id, Some(request.text.as_str())))
    });
    missing
        .map(|accepted| format!("{} read nothing of {}", accepted.request.to, name(accepted)))
        .collect()
}

/// Two calls at the same time have no order. One that was asked for after the other was accepted comes after it.
pub(super) fn a_chat_keeps_its_order(index: &Index<'_>) -> Vec<String> {
    let mut chats: HashMap<(&str, &str), Vec<(usize, &Accepted<'_>)>> = HashMap::new();
    for accepted in index.accepted.values() {
        let first = index
            .wire_by_id
            .get(accepted.whatsapp_id)
            .and_then(|places| places.first());
        if let Some(first) = first {
            let chat = (accepted.request.session.as_str(), accepted.request.to.as_str());
            chats.entry(chat).or_default().push((*first, accepted));
        }
    }
    let mut faults = Vec::new();
    for chat in chats.values_mut() {
        chat.sort_unstable_by_key(|(first, _)| *first);
        let mut latest: Option<(Millis, &Accepted<'_>)> = None;
        for (_, accepted) in chat.iter() {
            if let Some((_, early)) = latest.filter(|(asked, _)| accepted.at < *asked) {
                faults.push(format!(
                    "{} was on the wire before {}, which was accepted before it",
                    name(early),
                    name(accepted)
                ));
            }
            let asked = index.asked[accepted.request.key.as_str()];
            if latest.is_none_or(|(latest, _)| asked > latest) {
                latest = Some((asked, accepted));
            }
        }
    }
    faults
}

pub(super) fn every_message_ends_at_least_sent(index: &Index<'_>) -> Vec<String> {
    let shown: HashMap<&str, &str> = index
        .recording
        .messages
        .iter()
        .map(|message| (message.id.as_str(), message.status.as_str()))
        .collect();
    let good = |status: &str| matches!(rank(status), Some(2..=5));
    let mut faults = Vec::new();
    for accepted in index.accepted.values() {
        let status = shown.get(accepted.message).copied().unwrap_or("nowhere");
        if !good(status) {
            faults.push(format!("{} ends {status}", name(accepted)));
        }
        let told = index
            .events_of(accepted.message)
            .iter()
            .any(|event| status_of(&event.kind).is_some_and(good));
        if !told {
            faults.push(format!("the feed never says that {} was sent", name(accepted)));
        }
    }
    faults
}

fn name(accepted: &Accepted<'_>) -> String {
    format!(
        "{} ({}, {})",
        accepted.message, accepted.whatsapp_id, accepted.request.key
    )
}
