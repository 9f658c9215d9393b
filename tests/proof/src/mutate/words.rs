//! What is broken at the API: answers, events, lists.

use std::collections::{HashMap, HashSet};

use crate::recording::{
    Direction, End, EventLine, FaultLine, HistoryLine, Millis, Observed, Outcome, PeerLine, Recording, RequestLine,
};

/// Changes the feed as everybody sees it.
fn in_both(recording: &mut Recording, change: impl Fn(&mut Vec<EventLine>) -> Option<()>) -> Option<()> {
    change(&mut recording.log)?;
    change(&mut recording.followed)
}

fn find(events: &[EventLine], kind: &str) -> Option<usize> {
    events.iter().position(|event| event.kind == kind)
}

/// An inbound message that somebody outside sent, not one session to another.
fn find_received(recording: &Recording) -> Option<String> {
    let sent: HashSet<&str> = recording.inbound.iter().map(|sent| sent.id.as_str()).collect();
    let mut events = recording.log.iter().filter(|event| event.kind == "message.received");
    let event = events.find(|event| event.whatsapp_id.as_deref().is_some_and(|id| sent.contains(id)))?;
    Some(event.id.clone())
}

fn place_of(events: &[EventLine], id: &str) -> Option<usize> {
    events.iter().position(|event| event.id == id)
}

fn first_accepted(recording: &mut Recording) -> Option<&mut Outcome> {
    recording.requests.iter_mut().find_map(|line| match line {
        RequestLine::Outcome(outcome) if matches!(outcome.end, End::Accepted { .. }) => Some(outcome),
        _ => None,
    })
}

pub(super) fn remove_an_outcome(recording: &mut Recording) -> Option<()> {
    let at = recording
        .requests
        .iter()
        .position(|line| matches!(line, RequestLine::Outcome(_)))?;
    recording.requests.remove(at);
    Some(())
}

pub(super) fn refuse_for_ever(recording: &mut Recording) -> Option<()> {
    let outcome = first_accepted(recording)?;
    outcome.end = End::Unknown {
        error: "the connection broke".to_owned(),
    };
    Some(())
}

pub(super) fn refuse_one(recording: &mut Recording) -> Option<()> {
    let outcome = first_accepted(recording)?;
    outcome.end = End::Refused {
        status: 500,
        code: "internal".to_owned(),
    };
    Some(())
}

pub(super) fn answer_two_with_one(recording: &mut Recording) -> Option<()> {
    let first = first_accepted(recording)?.clone();
    let other = recording.requests.iter_mut().rev().find_map(|line| match line {
        RequestLine::Outcome(outcome) if outcome.call != first.call && matches!(outcome.end, End::Accepted { .. }) => {
            Some(outcome)
        }
        _ => None,
    })?;
    other.end = first.end;
    Some(())
}

pub(super) fn remove_an_inbound_event(recording: &mut Recording) -> Option<()> {
    let id = find_received(recording)?;
    in_both(recording, |events| {
        let at = place_of(events, &id)?;
        events.remove(at);
        Some(())
    })
}

pub(super) fn double_an_inbound_event(recording: &mut Recording) -> Option<()> {
    let id = find_received(recording)?;
    in_both(recording, |events| {
        let twin = events.get(place_of(events, &id)?)?.clone();
        events.push(twin);
        Some(())
    })
}

pub(super) fn change_an_inbound_text(recording: &mut Recording) -> Option<()> {
    let id = find_received(recording)?;
    in_both(recording, |events| {
        let at = place_of(events, &id)?;
        events.get_mut(at)?.text = Some("something else".to_owned());
        Some(())
    })
}

pub(super) fn invent_an_inbound_event(recording: &mut Recording) -> Option<()> {
    let id = find_received(recording)?;
    in_both(recording, |events| {
        let mut twin = events.get(place_of(events, &id)?)?.clone();
        twin.whatsapp_id = Some("3EB0FFFFFFFFFFFFFFFFFF".to_owned());
        events.push(twin);
        Some(())
    })
}

/// `delivered` before `sent`, of one message that has both: a receipt can overtake the acknowledgement.
pub(super) fn swap_two_steps(recording: &mut Recording) -> Option<()> {
    in_both(recording, |events| {
        let mut sent = HashMap::new();
        let pair = events
            .iter()
            .enumerate()
            .find_map(|(at, event)| match event.kind.as_str() {
                "message.sent" => {
                    sent.insert(event.message.clone(), at);
                    None
                }
                "message.delivered" => Some((*sent.get(&event.message)?, at)),
                _ => None,
            });
        let (sent, delivered) = pair?;
        events.swap(sent, delivered);
        Some(())
    })
}

pub(super) fn repeat_a_step(recording: &mut Recording) -> Option<()> {
    in_both(recording, |events| {
        let twin = events.get(find(events, "message.sent")?)?.clone();
        events.push(twin);
        Some(())
    })
}

pub(super) fn queue_twice(recording: &mut Recording) -> Option<()> {
    in_both(recording, |events| {
        let twin = events.get(find(events, "message.queued")?)?.clone();
        events.push(twin);
        Some(())
    })
}

/// Of a message whose receipt came long before the end of its life and of its connection.
pub(super) fn remove_a_read_event(recording: &mut Recording) -> Option<()> {
    let read: HashSet<String> = settled_reads(recording);
    in_both(recording, |events| {
        let of = |event: &EventLine| event.whatsapp_id.as_ref().is_some_and(|id| read.contains(id));
        let at = events
            .iter()
            .position(|event| event.kind == "message.read" && of(event))?;
        events.remove(at);
        Some(())
    })
}

fn settled_reads(recording: &Recording) -> HashSet<String> {
    const LONG: Millis = 1000;
    let mut closed = HashMap::new();
    for observation in &recording.observations {
        if let Observed::Closed(end) = &observation.what {
            closed.insert(end.connection, observation.at);
        }
    }
    let settled = |at: Millis, connection: u64| {
        let lived = recording
            .lives
            .iter()
            .any(|life| life.started <= at && at + LONG <= life.ended);
        lived && closed.get(&connection).is_none_or(|end| at + LONG <= *end)
    };
    let reads = recording
        .observations
        .iter()
        .filter_map(|observation| match &observation.what {
            Observed::Stanza(stanza) if stanza.tag == "receipt" && stanza.direction == Direction::ToClient => {
                let read = stanza.kind.as_deref() == Some("read") && settled(observation.at, stanza.connection);
                read.then_some(stanza)
            }
            _ => None,
        });
    reads.flat_map(|stanza| stanza.ids().map(str::to_owned)).collect()
}

pub(super) fn leave_one_queued(recording: &mut Recording) -> Option<()> {
    let at = find(&recording.log, "message.queued")?;
    let message = recording.log.get(at)?.message.clone()?;
    in_both(recording, |events| {
        events.retain(|event| event.message.as_ref() != Some(&message) || event.kind == "message.queued");
        Some(())
    })?;
    let shown = recording.messages.iter_mut().find(|shown| shown.id == message)?;
    "queued".clone_into(&mut shown.status);
    shown.timeline.truncate(1);
    Some(())
}

pub(super) fn miss_an_event(recording: &mut Recording) -> Option<()> {
    let at = find(&recording.followed, "message.sent")?;
    recording.followed.remove(at);
    Some(())
}

pub(super) fn ask_for_a_scan(recording: &mut Recording) -> Option<()> {
    let session = recording.about.sessions.first()?.id.clone();
    recording.history.push(HistoryLine {
        session: session.clone(),
        status: "ready".to_owned(),
    });
    recording.history.push(HistoryLine {
        session,
        status: "pending".to_owned(),
    });
    Some(())
}

pub(super) fn log_the_companion_out(recording: &mut Recording) -> Option<()> {
    recording.peer.push(PeerLine {
        event: "closed".to_owned(),
        code: Some(401),
        ..PeerLine::default()
    });
    Some(())
}

pub(super) fn empty(recording: &mut Recording) -> Option<()> {
    let about = recording.about.clone();
    *recording = Recording {
        about,
        ..Recording::default()
    };
    Some(())
}

pub(super) fn make_a_fault_idle(recording: &mut Recording) -> Option<()> {
    recording.faults.push(FaultLine {
        what: "nothing at all".to_owned(),
        from: 0,
        until: 0,
        refuses_logins: false,
        fired: 0,
    });
    Some(())
}
