//! How much there is. A recording that shows nothing breaks no rule, and proves none.

use std::collections::HashSet;

use super::index::Index;
use super::receipts::arrived;
use crate::recording::{Device, End, LifeEnd, Observed};

/// What a recording holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Lives that ended by SIGKILL and count.
    pub kills: usize,
    /// SIGKILLs during a start.
    pub early_kills: usize,
    /// Calls.
    pub calls: usize,
    /// Accepted messages.
    pub accepted: usize,
    /// Calls whose connection broke before the answer.
    pub unknown: usize,
    /// Calls that were refused.
    pub refused: usize,
    /// Messages of the sessions on the wire.
    pub wire: usize,
    /// Messages that were on the wire more than once.
    pub sent_again: usize,
    /// Copies that virtual phones decrypted.
    pub decrypted: usize,
    /// Copies that the companion decrypted.
    pub peer_copies: usize,
    /// Messages that phones and the companion sent.
    pub inbound: usize,
    /// Delivery receipts that reached Wharf.
    pub delivered: usize,
    /// Read receipts that reached Wharf.
    pub read: usize,
    /// Copies that sessions asked for again.
    pub retries: usize,
    /// Logins of the sessions.
    pub logins: usize,
    /// Events.
    pub events: usize,
    /// Things that were broken on purpose.
    pub faults: usize,
}

impl Counts {
    pub(super) fn of(index: &Index<'_>) -> Self {
        let recording = index.recording;
        let ended = |end: LifeEnd| recording.lives.iter().filter(|life| life.end == end).count();
        let receipts = arrived(index);
        let of_kind = |status: &str| receipts.iter().filter(|receipt| receipt.status == status).count();
        let ends = |wanted: fn(&End) -> bool| index.outcomes.values().filter(|outcome| wanted(&outcome.end)).count();
        Self {
            kills: ended(LifeEnd::Kill),
            early_kills: ended(LifeEnd::EarlyKill),
            calls: index.calls.len(),
            accepted: index.accepted.len(),
            unknown: ends(|end| matches!(end, End::Unknown { .. })),
            refused: ends(|end| matches!(end, End::Refused { .. })),
            wire: index.wire.len(),
            sent_again: index
                .accepted
                .values()
                .filter(|accepted| index.wire_of(accepted).len() > 1)
                .count(),
            decrypted: index
                .decryptions
                .iter()
                .filter(|decryption| decryption.error.is_none())
                .count(),
            peer_copies: peer_copies(index),
            inbound: recording.inbound.len(),
            delivered: of_kind("delivered"),
            read: of_kind("read"),
            retries: retries(index),
            logins: logins(index),
            events: recording.log.len(),
            faults: recording.faults.len(),
        }
    }
}

fn peer_copies(index: &Index<'_>) -> usize {
    let lines = index.recording.peer.iter().filter(|line| line.event == "message");
    let ours = lines.filter(|line| {
        let id = line.id.as_deref().unwrap_or_default();
        index.by_whatsapp_id.contains_key(id)
    });
    ours.filter_map(|line| line.copy.as_deref())
        .collect::<HashSet<_>>()
        .len()
}

fn retries(index: &Index<'_>) -> usize {
    let stanzas = index
        .recording
        .observations
        .iter()
        .filter_map(|observation| match &observation.what {
            Observed::Stanza(stanza) => Some(stanza),
            _ => None,
        });
    let retries = stanzas.filter(|stanza| stanza.tag == "receipt" && stanza.kind.as_deref() == Some("retry"));
    retries
        .filter(|stanza| {
            stanza
                .client()
                .is_some_and(|client| index.devices.contains_key(&client))
        })
        .count()
}

fn logins(index: &Index<'_>) -> usize {
    let logins = index
        .recording
        .observations
        .iter()
        .filter_map(|observation| match &observation.what {
            Observed::Login(login) => Some(login),
            _ => None,
        });
    let ours = logins.filter(|login| {
        let (Some(phone), Some(device)) = (&login.phone, login.device) else {
            return false;
        };
        index.devices.contains_key(&format!("{phone}:{device}"))
    });
    ours.count()
}

pub(super) fn recording_is_substantial(index: &Index<'_>) -> Vec<String> {
    let (counts, floors) = (Counts::of(index), index.recording.about.floors);
    let mut faults = Vec::new();
    for (what, count, floor) in [
        ("kills", counts.kills, floors.kills),
        ("accepted messages", counts.accepted, floors.accepted.max(1)),
        ("messages on the wire", counts.wire, floors.accepted.max(1)),
        ("inbound messages", counts.inbound, floors.inbound.max(1)),
        ("decrypted copies", counts.decrypted, floors.decrypted.max(1)),
        ("copies of the companion", counts.peer_copies, floors.peer_copies.max(1)),
        ("delivery receipts", counts.delivered, floors.delivered.max(1)),
        ("read receipts", counts.read, floors.read.max(1)),
        ("calls without an answer", counts.unknown, floors.unknown),
        ("messages that were sent again", counts.sent_again, floors.sent_again),
        ("faults", counts.faults, floors.faults),
    ] {
        if count < floor {
            faults.push(format!("{count} {what}, where {floor} are needed"));
        }
    }
    let lives = index.recording.lives.iter().filter(|life| life.end == LifeEnd::Kill);
    let poor = lives.filter(|life| life.accepted < floors.accepted_per_life);
    faults.extend(poor.map(|life| {
        format!(
            "a life accepted {} messages before its kill ({})",
            life.accepted, life.moment
        )
    }));
    faults
}

pub(super) fn everybody_took_part(index: &Index<'_>) -> Vec<String> {
    let about = &index.recording.about;
    let mut faults = Vec::new();
    if about.sessions.is_empty() || about.peer.is_none() {
        faults.push("there are no sessions, or there is no companion".to_owned());
    }
    for session in &about.sessions {
        if !index
            .accepted
            .values()
            .any(|accepted| accepted.request.session == session.id)
        {
            faults.push(format!("{} accepted nothing", session.id));
        }
        if !index
            .recording
            .inbound
            .iter()
            .any(|sent| sent.to == session.device.phone)
        {
            faults.push(format!("nobody wrote to {}", session.id));
        }
    }
    let peer = about.peer.as_ref().map(|peer: &Device| peer.phone.as_str());
    let recipients = index.recipients();
    if peer.is_some_and(|peer| !recipients.contains(peer)) {
        faults.push("nothing was sent to the companion".to_owned());
    }
    let idle = index.recording.faults.iter().filter(|fault| fault.fired == 0);
    faults.extend(idle.map(|fault| format!("the fault never happened: {}", fault.what)));
    faults
}
