//! Sends: what was accepted is kept, and reaches its phone with one code.

use std::collections::{BTreeMap, BTreeSet};

use super::stories::{Stories, Story};
use crate::otp::record::{Ask, Call};

pub(super) fn every_accepted_code_exists(stories: &Stories<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut of_phone: BTreeMap<&str, usize> = BTreeMap::new();
    for story in stories.accepted() {
        *of_phone.entry(story.phone).or_default() += 1;
        match story.kept {
            None => faults.push(format!("{} was accepted and is gone", story.id)),
            Some(kept) if kept.phone != format!("+{}", story.phone) => {
                faults.push(format!("{} is for {}, not for {}", story.id, kept.phone, story.phone));
            }
            Some(_) => {}
        }
    }
    let accepted: BTreeSet<&str> = stories.accepted().map(|story| story.id).collect();
    let unknown = stories.record.verifications.iter();
    let unknown = unknown.filter(|kept| !accepted.contains(kept.id.as_str()));
    faults.extend(unknown.map(|kept| format!("nobody was told of {}", kept.id)));
    let more = of_phone.into_iter().filter(|(_, count)| *count > 1);
    faults.extend(more.map(|(phone, count)| format!("{phone} has {count} verifications")));
    faults
}

pub(super) fn one_send_per_key(stories: &Stories<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, calls) in &stories.sends {
        faults.extend(faults_of_key(key, calls));
    }
    for story in stories.accepted() {
        let (mut keys, mut wrong) = (BTreeSet::new(), Vec::new());
        for call in &story.calls {
            let (Ask::Send { key, .. }, Some(answer), Some(_)) = (&call.ask, &call.answer, call.accepted()) else {
                continue;
            };
            keys.insert(key.as_str());
            if answer.messages != keys.len() {
                wrong.push(format!("{key} was answered with {} messages", answer.messages));
            }
        }
        faults.extend(wrong);
        let counted: Vec<u64> = story
            .kept
            .iter()
            .flat_map(|kept| &kept.attempts)
            .map(|one| one.n)
            .collect();
        let expected: Vec<u64> = (1..).take(keys.len()).collect();
        if story.kept.is_some() && counted != expected {
            faults.push(format!(
                "{} has messages {counted:?}, {} were asked for",
                story.id,
                keys.len()
            ));
        }
    }
    faults
}

/// One answer to all that bear one key.
fn faults_of_key(key: &str, calls: &[&Call]) -> Vec<String> {
    let mut faults = Vec::new();
    let ids: BTreeSet<&str> = calls.iter().filter_map(|call| call.accepted()).collect();
    if ids.len() > 1 {
        faults.push(format!("{key} was answered with {ids:?}"));
    }
    let (mut new, mut before) = (0, false);
    for call in calls {
        if let (Some(answer), Some(_)) = (&call.answer, call.accepted()) {
            new += u32::from(!answer.replayed);
            if answer.replayed && !before {
                faults.push(format!("{key} was new and was answered with a repetition"));
            }
        }
        before |= call.answer.is_none() || call.accepted().is_some();
    }
    if new > 1 {
        faults.push(format!("{key} was carried out {new} times"));
    }
    faults
}

pub(super) fn only_a_missing_session_refuses(stories: &Stories<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, calls) in &stories.sends {
        for answer in calls.iter().filter_map(|call| call.answer.as_ref()) {
            let fits = match (answer.status, answer.code.as_str()) {
                (202, _) => answer.id.is_some(),
                (409, "session_unavailable" | "idempotency_in_progress") => true,
                _ => false,
            };
            if !fits {
                faults.push(format!("{key} was answered with {} {}", answer.status, answer.code));
            }
        }
    }
    faults
}

pub(super) fn every_code_arrives(stories: &Stories<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for story in stories.accepted() {
        for message in story.messages() {
            if story.arrived(message).is_none() {
                faults.push(format!("{message} of {} never reached {}", story.id, story.phone));
            } else if !story.bubbles.iter().any(|bubble| bubble.whatsapp_id == message) {
                faults.push(format!("{} does not show {message} of {}", story.phone, story.id));
            }
        }
    }
    faults
}

pub(super) fn one_code_per_message(stories: &Stories<'_>) -> Vec<String> {
    let record = stories.record;
    let mut said: BTreeMap<&str, BTreeSet<(&str, Option<&str>)>> = BTreeMap::new();
    for arrival in &record.arrivals {
        let copy = (arrival.phone.as_str(), arrival.code.as_deref());
        said.entry(&arrival.whatsapp_id).or_default().insert(copy);
    }
    for bubble in &record.bubbles {
        let shown = (bubble.phone.as_str(), bubble.code.as_deref());
        said.entry(&bubble.whatsapp_id).or_default().insert(shown);
    }
    let mut faults = Vec::new();
    for (message, copies) in &said {
        if copies.len() > 1 || copies.iter().any(|(_, code)| code.is_none()) {
            faults.push(format!("{message} said {copies:?}"));
        }
    }
    for story in stories.accepted() {
        let codes: Vec<&str> = story
            .bubbles
            .iter()
            .filter_map(|bubble| bubble.code.as_deref())
            .collect();
        if codes.iter().collect::<BTreeSet<_>>().len() < codes.len() {
            faults.push(format!("two messages of {} say the same", story.id));
        }
    }
    faults
}

pub(super) fn nothing_else_is_shown(stories: &Stories<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for story in stories.accepted() {
        faults.extend(strangers_on(story));
    }
    let known: BTreeSet<&str> = stories.accepted().map(|story| story.phone).collect();
    let lost = stories.record.bubbles.iter();
    let lost = lost.filter(|bubble| !known.contains(bubble.phone.as_str()));
    faults.extend(lost.map(|bubble| {
        format!(
            "{} shows {}, and nobody was told of it",
            bubble.phone, bubble.whatsapp_id
        )
    }));
    faults
}

fn strangers_on(story: &Story<'_>) -> Vec<String> {
    let messages = story.messages();
    let mut faults = Vec::new();
    let mut shown = BTreeSet::new();
    for bubble in &story.bubbles {
        let message = bubble.whatsapp_id.as_str();
        if !messages.contains(&message) || !shown.insert(message) {
            faults.push(format!(
                "{} shows {message}, which is none of {}'s or is twice there",
                story.phone, story.id
            ));
        }
    }
    let (mut came, mut last) = (BTreeSet::new(), None);
    for arrival in &story.arrivals {
        let place = messages.iter().position(|message| *message == arrival.whatsapp_id);
        if came.insert(&arrival.whatsapp_id) && place <= last {
            faults.push(format!("{} came to {} out of turn", arrival.whatsapp_id, story.phone));
        }
        last = last.max(place);
    }
    faults
}
