//! What callers asked for and what they were told.

use std::collections::{HashMap, HashSet};

use super::index::Index;
use crate::recording::End;

pub(super) fn every_request_has_an_outcome(index: &Index<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut keys = HashSet::new();
    for call in &index.calls {
        if !index.outcomes.contains_key(&call.call) {
            faults.push(format!("call {} ({}) has no outcome", call.call, call.key));
        }
        if keys.insert(&call.key) && !index.accepted.contains_key(call.key.as_str()) {
            faults.push(format!("{} was never accepted", call.key));
        }
    }
    let known: HashSet<u64> = index.calls.iter().map(|call| call.call).collect();
    let strangers = index.outcomes.keys().filter(|call| !known.contains(call));
    faults.extend(strangers.map(|call| format!("call {call} has an outcome and was never made")));
    faults
}

pub(super) fn only_faults_refuse(index: &Index<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for outcome in index.outcomes.values() {
        let End::Refused { status, code } = &outcome.end else {
            continue;
        };
        // The end of a fault is noticed a moment after it: what was tried meanwhile may still fail.
        let broken = index.recording.faults.iter().any(|fault| {
            let (from, until) = (fault.from, fault.until.saturating_add(5000));
            (from..=until).contains(&outcome.at)
        });
        if *status != 503 || !broken {
            faults.push(format!("call {} was refused with {status} {code}", outcome.call));
        }
    }
    faults
}

pub(super) fn one_message_per_key(index: &Index<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for answer in &index.answers {
        let key = answer.request.key.as_str();
        let first = &index.accepted[key];
        if (answer.message, answer.whatsapp_id) != (first.message, first.whatsapp_id) {
            faults.push(format!(
                "{key} was answered with {} and {}",
                first.message, answer.message
            ));
        }
        for id in [answer.message, answer.whatsapp_id] {
            let owner = owners.entry(id).or_insert(key);
            if *owner != key {
                faults.push(format!("{id} is the answer to {owner} and to {key}"));
            }
        }
    }
    let outbound = index
        .recording
        .messages
        .iter()
        .filter(|message| message.direction == "outbound");
    let shown: HashSet<&str> = outbound.map(|message| message.id.as_str()).collect();
    let known: HashSet<&str> = index.accepted.values().map(|accepted| accepted.message).collect();
    faults.extend(shown.difference(&known).map(|id| format!("{id} is nobody's message")));
    faults.extend(
        known
            .difference(&shown)
            .map(|id| format!("{id} was accepted and is not in the list of messages")),
    );
    faults
}
