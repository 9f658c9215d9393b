//! What came in.

use std::collections::{HashMap, HashSet};

use super::index::Index;
use crate::recording::{Direction, EventLine, Observed};

/// A message for a session: WhatsApp's id of it and the session.
type Arrival<'a> = (&'a str, &'a str);

/// What was sent to sessions, by whomever, and what it says.
fn expected<'a>(index: &Index<'a>) -> HashMap<Arrival<'a>, &'a str> {
    let mut expected = HashMap::new();
    for sent in &index.recording.inbound {
        // The account's own phone shows its companions what it sends.
        for phone in [&sent.to, &sent.from] {
            if let Some(session) = index.session_phones.get(phone.as_str()) {
                expected.insert((sent.id.as_str(), session.id.as_str()), sent.text.as_str());
            }
        }
    }
    for accepted in index.accepted.values() {
        if let Some(session) = index.session_phones.get(accepted.request.to.as_str())
            && session.id != accepted.request.session
        {
            expected.insert((accepted.whatsapp_id, &session.id), &accepted.request.text);
        }
    }
    expected
}

fn received<'a>(index: &Index<'a>) -> HashMap<Arrival<'a>, Vec<&'a EventLine>> {
    let mut received: HashMap<Arrival<'a>, Vec<&EventLine>> = HashMap::new();
    for event in index
        .recording
        .log
        .iter()
        .filter(|event| event.kind == "message.received")
    {
        let id = event.whatsapp_id.as_deref().unwrap_or_default();
        let session = event.session.as_deref().unwrap_or_default();
        received.entry((id, session)).or_default().push(event);
    }
    received
}

/// What the sessions' devices told WhatsApp to have: a receipt, or an ack. The ack that goes with a request for another
/// copy says that the message is not there yet.
fn acknowledged<'a>(index: &Index<'a>) -> HashSet<Arrival<'a>> {
    let (mut acknowledged, mut acked, mut asked_again) = (HashSet::new(), HashSet::new(), HashSet::new());
    for observation in &index.recording.observations {
        let Observed::Stanza(stanza) = &observation.what else {
            continue;
        };
        let session = stanza.client().and_then(|client| index.devices.get(&client).copied());
        let (Direction::FromClient, Some(session)) = (stanza.direction, session) else {
            continue;
        };
        let named = stanza.ids().map(|id| (id, session.id.as_str()));
        match (stanza.tag.as_str(), stanza.kind.as_deref()) {
            ("receipt", Some("retry")) => asked_again.extend(named),
            ("receipt", _) => acknowledged.extend(named),
            ("ack", _) if stanza.class.as_deref() == Some("message") => acked.extend(named),
            _ => {}
        }
    }
    acknowledged.extend(acked.difference(&asked_again));
    acknowledged
}

pub(super) fn acknowledged_inbound_is_in_the_event_log_once(index: &Index<'_>) -> Vec<String> {
    let (expected, received) = (expected(index), received(index));
    let mut faults = Vec::new();
    for arrival in acknowledged(index) {
        let count = received.get(&arrival).map_or(0, Vec::len);
        if expected.contains_key(&arrival) && count == 0 {
            faults.push(format!(
                "{} was acknowledged by {} and is not in the log",
                arrival.0, arrival.1
            ));
        }
    }
    for (arrival, events) in &received {
        if events.len() > 1 {
            faults.push(format!(
                "{} of {} is in the log {} times",
                arrival.0,
                arrival.1,
                events.len()
            ));
        }
    }
    faults
}

pub(super) fn every_inbound_arrives(index: &Index<'_>) -> Vec<String> {
    let (received, acknowledged) = (received(index), acknowledged(index));
    let mut faults = Vec::new();
    for (arrival, text) in expected(index) {
        let (id, session) = arrival;
        let said = received
            .get(&arrival)
            .and_then(|events| events.first()?.text.as_deref());
        if said != Some(text) {
            faults.push(format!("{id} for {session} says {said:?} instead of {text:?}"));
        }
        if !acknowledged.contains(&arrival) {
            faults.push(format!("{id} was never acknowledged by {session}"));
        }
    }
    faults
}

pub(super) fn nobody_is_heard_who_said_nothing(index: &Index<'_>) -> Vec<String> {
    let expected = expected(index);
    let strangers = received(index)
        .into_keys()
        .filter(|arrival| !expected.contains_key(arrival));
    strangers
        .map(|(id, session)| format!("{session} received {id}, which nobody sent"))
        .collect()
}
