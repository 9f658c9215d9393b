//! Ciphertexts: whether those they were for could read them, and what they were made with.

use std::collections::{HashMap, HashSet};

use super::index::Index;
use crate::recording::{Copy, Device};

pub(super) fn every_copy_decrypts(index: &Index<'_>) -> Vec<String> {
    let mut faults = phones(index);
    if let Some(peer) = &index.recording.about.peer {
        faults.extend(companion(index, peer));
    }
    faults
}

/// What names one copy for one phone.
type Name<'a> = (&'a str, String, &'a str, Option<&'a str>, Option<u32>);

fn phones(index: &Index<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut read: HashSet<Name<'_>> = HashSet::new();
    for decryption in &index.decryptions {
        if let Some(error) = &decryption.error {
            let (id, phone) = (&decryption.id, &decryption.phone);
            faults.push(format!(
                "{id} of {} cannot be read by {phone}: {error}",
                decryption.from_device
            ));
            continue;
        }
        let key = decryption.ratchet_key.as_deref();
        let from = decryption.from_device.clone();
        read.insert((&decryption.phone, from, &decryption.id, key, decryption.counter));
    }
    let peer = index.recording.about.peer.as_ref().map(Device::address);
    for (session, _, stanza) in &index.wire {
        for copy in &stanza.enc {
            let id = stanza.id.as_deref().unwrap_or_default();
            if let Some(phone) = copy.recipient.strip_suffix(":0") {
                let key = copy.ratchet_key.as_deref();
                if !read.contains(&(phone, session.device.address(), id, key, copy.counter)) {
                    faults.push(format!("the copy of {id} for {phone} was never decrypted"));
                }
            } else if Some(&copy.recipient) != peer.as_ref() && !index.devices.contains_key(&copy.recipient) {
                faults.push(format!("{id} has a copy for {}, whom nobody knows", copy.recipient));
            }
        }
    }
    faults
}

/// The companion tells of ciphertexts, not of counters: they are counted. A redelivery repeats a ciphertext, and its
/// second decryption fails; one success for each is enough.
fn companion(index: &Index<'_>, peer: &Device) -> Vec<String> {
    let mut faults = Vec::new();
    let mut read: HashMap<&str, HashSet<&str>> = HashMap::new();
    let mut unread: HashMap<&str, (&str, &str)> = HashMap::new();
    let mut good: HashSet<&str> = HashSet::new();
    let lines = index.recording.peer.iter().filter(|line| {
        let from = line.from_phone.as_deref().unwrap_or_default();
        index.session_phones.contains_key(from)
    });
    for line in lines {
        let (id, copy) = (
            line.id.as_deref().unwrap_or_default(),
            line.copy.as_deref().unwrap_or_default(),
        );
        match line.event.as_str() {
            "message" => {
                good.insert(copy);
                read.entry(id).or_default().insert(copy);
            }
            "undecryptable" => {
                unread.insert(copy, (id, line.error.as_deref().unwrap_or_default()));
            }
            _ => {}
        }
    }
    for (copy, (id, error)) in unread {
        if !good.contains(copy) {
            faults.push(format!("the companion could not read a copy of {id}: {error}"));
        }
    }
    let address = peer.address();
    let mut sent: HashMap<&str, usize> = HashMap::new();
    for (_, _, stanza) in &index.wire {
        let copies = stanza.enc.iter().filter(|copy| copy.recipient == address).count();
        *sent.entry(stanza.id.as_deref().unwrap_or_default()).or_default() += copies;
    }
    for (id, copies) in sent {
        let seen = read.get(id).map_or(0, HashSet::len);
        if copies > seen {
            faults.push(format!("the companion read {seen} of {copies} copies of {id}"));
        }
    }
    faults
}

pub(super) fn counters_differ(index: &Index<'_>) -> Vec<String> {
    let mut seen: HashMap<(&str, &str, &str, u32), &str> = HashMap::new();
    let mut faults = Vec::new();
    for (session, _, stanza) in &index.wire {
        let id = stanza.id.as_deref().unwrap_or_default();
        for copy in &stanza.enc {
            let Some((key, counter)) = place(copy) else {
                faults.push(format!("the copy of {id} for {} has no counter", copy.recipient));
                continue;
            };
            let place = (session.id.as_str(), copy.recipient.as_str(), key, counter);
            if let Some(earlier) = seen.insert(place, id) {
                faults.push(format!(
                    "{earlier} and {id} for {} both have counter {counter}",
                    copy.recipient
                ));
            }
        }
    }
    faults
}

fn place(copy: &Copy) -> Option<(&str, u32)> {
    Some((copy.ratchet_key.as_deref()?, copy.counter?))
}

pub(super) fn secret_is_the_same(index: &Index<'_>) -> Vec<String> {
    let phones = index
        .decryptions
        .iter()
        .filter(|decryption| decryption.error.is_none() && decryption.text.is_some())
        .map(|decryption| (decryption.id.as_str(), decryption.secret.as_deref()));
    let peer = index.recording.peer.iter().filter_map(|line| {
        let ours = line.event == "message" && index.by_whatsapp_id.contains_key(line.id.as_deref()?);
        ours.then_some((line.id.as_deref()?, line.secret.as_deref()))
    });
    let mut secrets: HashMap<&str, &str> = HashMap::new();
    let mut owners: HashMap<&str, &str> = HashMap::new();
    let mut faults = Vec::new();
    for (id, secret) in phones.chain(peer) {
        let Some(secret) = secret.filter(|secret| secret.len() == 64) else {
            faults.push(format!("a copy of {id} carries no secret of 32 bytes"));
            continue;
        };
        if *secrets.entry(id).or_insert(secret) != secret {
            faults.push(format!("copies of {id} carry different secrets"));
        }
        let owner = owners.entry(secret).or_insert(id);
        if *owner != id {
            faults.push(format!("{owner} and {id} carry the same secret"));
        }
    }
    faults
}
