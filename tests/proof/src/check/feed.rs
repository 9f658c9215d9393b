//! The event feed.

use std::collections::HashMap;

use super::index::{Index, rank, status_of};
use crate::recording::EventLine;

pub(super) fn status_never_goes_back(index: &Index<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut furthest: HashMap<&str, u8> = HashMap::new();
    for (message, event, step) in steps(&index.recording.log) {
        let before = furthest.insert(message, step);
        if before.is_some_and(|before| before >= step) {
            faults.push(format!("{message} goes back to {} in the feed", event.kind));
        }
    }
    let outbound = index
        .recording
        .messages
        .iter()
        .filter(|message| message.direction == "outbound");
    for message in outbound {
        for pair in message.timeline.windows(2) {
            let [before, after] = pair else { continue };
            // Taken before anything is known to have reached the server.
            let taken_back = before == "sending" && after == "queued";
            if rank(before) >= rank(after) && !taken_back {
                faults.push(format!("{} goes from {before} to {after} in its timeline", message.id));
            }
        }
        if message.timeline.last() != Some(&message.status) {
            faults.push(format!(
                "{} is {}, and its timeline ends otherwise",
                message.id, message.status
            ));
        }
        let told = furthest.get(message.id.as_str()).copied();
        let shown = rank(&message.status).filter(|step| *step != 1 && *step < 6);
        if shown.is_some() && told != shown {
            faults.push(format!(
                "{} is {}, and the feed says something else",
                message.id, message.status
            ));
        }
    }
    faults
}

fn steps(events: &[EventLine]) -> impl Iterator<Item = (&str, &EventLine, u8)> {
    events
        .iter()
        .filter_map(|event| Some((event.message.as_deref()?, event, rank(status_of(&event.kind)?)?)))
}

pub(super) fn accepted_is_queued_once(index: &Index<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for accepted in index.accepted.values() {
        let events = index.events_of(accepted.message);
        let count = events.iter().filter(|event| event.kind == "message.queued").count();
        if count != 1 {
            faults.push(format!("{} is told as queued {count} times", accepted.message));
        }
    }
    faults
}

pub(super) fn the_feed_is_the_same_for_all(index: &Index<'_>) -> Vec<String> {
    let (followed, log) = (&index.recording.followed, &index.recording.log);
    if followed.len() != log.len() {
        return vec![format!(
            "who followed saw {} events, who read later saw {}; the first difference: {}",
            followed.len(),
            log.len(),
            first_difference(followed, log)
        )];
    }
    let differ = followed
        .iter()
        .zip(log)
        .filter(|(one, other)| (&one.id, &one.kind) != (&other.id, &other.kind));
    differ
        .map(|(one, other)| {
            format!(
                "{} {} stands where {} {} stands later",
                one.id, one.kind, other.id, other.kind
            )
        })
        .collect()
}

fn first_difference(followed: &[EventLine], log: &[EventLine]) -> String {
    let at = followed
        .iter()
        .zip(log)
        .take_while(|(one, other)| one.id == other.id)
        .count();
    let name =
        |event: Option<&EventLine>| event.map_or("the end".to_owned(), |event| format!("{} {}", event.id, event.kind));
    format!("{} and {} at place {at}", name(followed.get(at)), name(log.get(at)))
}
