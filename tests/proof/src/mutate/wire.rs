//! What is broken at the sandbox and at the recipients.

use std::collections::{HashMap, HashSet};

use crate::recording::{Decryption, End, Millis, Observed, Recording, RequestLine, Stanza};

/// An accepted message.
struct Accepted {
    to: String,
    asked: Millis,
    answered: Millis,
}

/// Accepted messages by WhatsApp's ids, as far as one call was enough.
fn accepted(recording: &Recording) -> HashMap<String, Accepted> {
    let mut calls = HashMap::new();
    let mut ids = HashMap::new();
    for line in &recording.requests {
        match line {
            RequestLine::Request(request) => {
                calls.insert(request.call, (request.to.clone(), request.at));
            }
            RequestLine::Outcome(outcome) => {
                if let (End::Accepted { whatsapp_id, .. }, Some((to, asked))) =
                    (&outcome.end, calls.remove(&outcome.call))
                {
                    let answered = outcome.at;
                    ids.insert(whatsapp_id.clone(), Accepted { to, asked, answered });
                }
            }
        }
    }
    ids
}

fn sessions(recording: &Recording) -> HashSet<String> {
    let sessions = recording.about.sessions.iter();
    sessions.map(|session| session.device.address()).collect()
}

/// Positions of the sessions' messages on the wire, each with its client.
fn wire(recording: &Recording) -> Vec<(usize, String)> {
    let sessions = sessions(recording);
    let observations = recording.observations.iter().enumerate();
    let sent = observations.filter_map(|(at, observation)| match &observation.what {
        Observed::Stanza(stanza) if stanza.is_sent_message() => Some((at, stanza.client()?)),
        _ => None,
    });
    sent.filter(|(_, client)| sessions.contains(client)).collect()
}

fn stanza(recording: &mut Recording, at: usize) -> Option<&mut Stanza> {
    match &mut recording.observations.get_mut(at)?.what {
        Observed::Stanza(stanza) => Some(stanza),
        _ => None,
    }
}

fn id_at(recording: &Recording, at: usize) -> Option<&str> {
    match &recording.observations.get(at)?.what {
        Observed::Stanza(stanza) => stanza.id.as_deref(),
        _ => None,
    }
}

/// The decryptions of copies of accepted messages.
fn decryptions(recording: &mut Recording) -> impl Iterator<Item = &mut Decryption> {
    let sessions = sessions(recording);
    let accepted = accepted(recording);
    let all = recording
        .observations
        .iter_mut()
        .filter_map(|observation| match &mut observation.what {
            Observed::Decrypted(decryption) => Some(decryption),
            _ => None,
        });
    all.filter(move |decryption| sessions.contains(&decryption.from_device) && accepted.contains_key(&decryption.id))
}

pub(super) fn remove_the_only_stanza(recording: &mut Recording) -> Option<()> {
    let accepted = accepted(recording);
    let wire = wire(recording);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (at, _) in &wire {
        *counts.entry(id_at(recording, *at)?).or_default() += 1;
    }
    let only = wire
        .iter()
        .map(|(at, _)| *at)
        .find(|at| id_at(recording, *at).is_some_and(|id| accepted.contains_key(id) && counts.get(id) == Some(&1)))?;
    recording.observations.remove(only);
    Some(())
}

pub(super) fn repeat_a_counter(recording: &mut Recording) -> Option<()> {
    let mut seen: HashMap<(String, String, String), u32> = HashMap::new();
    for (at, client) in wire(recording) {
        for copy in &mut stanza(recording, at)?.enc {
            let place = (client.clone(), copy.recipient.clone(), copy.ratchet_key.clone()?);
            if let Some(earlier) = seen.get(&place) {
                copy.counter = Some(*earlier);
                return Some(());
            }
            seen.insert(place, copy.counter?);
        }
    }
    None
}

/// The stanza and what its readers say of it: everything but the answer and the events.
pub(super) fn change_an_id(recording: &mut Recording) -> Option<()> {
    const OTHER: &str = "3EB0FFFFFFFFFFFFFFFFFF";
    let accepted = accepted(recording);
    let (at, client) = wire(recording)
        .into_iter()
        .find(|(at, _)| id_at(recording, *at).is_some_and(|id| accepted.contains_key(id)))?;
    let changed = stanza(recording, at)?;
    changed.id = Some(OTHER.to_owned());
    let copies = changed.enc.clone();
    for decryption in decryptions(recording).filter(|decryption| decryption.from_device == client) {
        let same = copies.iter().any(|copy| {
            copy.recipient == format!("{}:0", decryption.phone)
                && copy.ratchet_key == decryption.ratchet_key
                && copy.counter == decryption.counter
        });
        if same {
            OTHER.clone_into(&mut decryption.id);
        }
    }
    Some(())
}

pub(super) fn change_a_secret(recording: &mut Recording) -> Option<()> {
    let decryption =
        decryptions(recording).find(|decryption| decryption.secret.is_some() && decryption.text.is_some())?;
    decryption.secret = Some("0".repeat(64));
    Some(())
}

pub(super) fn change_the_companions_secret(recording: &mut Recording) -> Option<()> {
    let accepted = accepted(recording);
    let line = recording.peer.iter_mut().find(|line| {
        let ours = line.id.as_ref().is_some_and(|id| accepted.contains_key(id));
        ours && line.event == "message"
    })?;
    line.secret = Some("0".repeat(64));
    Some(())
}

pub(super) fn refuse_a_login(recording: &mut Recording) -> Option<()> {
    let login = recording
        .observations
        .iter_mut()
        .rev()
        .find_map(|observation| match &mut observation.what {
            Observed::Login(login) => Some(login),
            _ => None,
        })?;
    login.refused = Some("401".to_owned());
    Some(())
}

pub(super) fn fail_a_decryption(recording: &mut Recording) -> Option<()> {
    let decryption = decryptions(recording).next()?;
    decryption.error = Some("no session".to_owned());
    decryption.text = None;
    decryption.secret = None;
    Some(())
}

pub(super) fn remove_a_decryption(recording: &mut Recording) -> Option<()> {
    let gone = decryptions(recording).next()?.clone();
    recording.observations.retain(|observation| match &observation.what {
        Observed::Decrypted(decryption) => {
            (&decryption.id, &decryption.phone, decryption.counter) != (&gone.id, &gone.phone, gone.counter)
        }
        _ => true,
    });
    Some(())
}

pub(super) fn remove_the_companions_copy(recording: &mut Recording) -> Option<()> {
    let accepted = accepted(recording);
    let at = recording.peer.iter().position(|line| {
        let ours = line.id.as_ref().is_some_and(|id| accepted.contains_key(id));
        ours && line.event == "message"
    })?;
    recording.peer.remove(at);
    Some(())
}

pub(super) fn say_something_else(recording: &mut Recording) -> Option<()> {
    let decryption = decryptions(recording).find(|decryption| decryption.text.is_some())?;
    decryption.text = Some("nobody ever asked for this".to_owned());
    Some(())
}

/// Two that were on the wire once, the second asked for when the first was accepted. One that was sent again has an
/// earlier first copy.
pub(super) fn swap_two_of_a_chat(recording: &mut Recording) -> Option<()> {
    let accepted = accepted(recording);
    let wire = wire(recording);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (at, _) in &wire {
        *counts.entry(id_at(recording, *at)?.to_owned()).or_default() += 1;
    }
    let mut first: HashMap<(String, &str), (usize, Millis)> = HashMap::new();
    for (at, client) in wire {
        let Some(id) = id_at(recording, at) else { continue };
        let Some(message) = accepted.get(id).filter(|_| counts.get(id) == Some(&1)) else {
            continue;
        };
        let (earlier, answered) = *first.entry((client, &message.to)).or_insert((at, message.answered));
        if answered < message.asked {
            recording.observations.swap(earlier, at);
            return Some(());
        }
    }
    None
}
