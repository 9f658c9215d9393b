//! Receipts that reached Wharf.

use std::collections::HashMap;

use super::index::{Index, rank, status_of};
use crate::recording::{Direction, Millis, Observed, Stanza};

/// How long before its end Wharf may lose what it has not stored yet.
const SETTLED: Millis = 1000;

/// A receipt that reached a session's device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived<'a> {
    pub at: Millis,
    pub session: &'a str,
    pub whatsapp_id: &'a str,
    /// The status that it proves.
    pub status: &'static str,
    connection: u64,
}

/// Every receipt for a message of ours, one by one.
pub(super) fn arrived<'a>(index: &Index<'a>) -> Vec<Arrived<'a>> {
    let mut arrived = Vec::new();
    for observation in &index.recording.observations {
        let Observed::Stanza(stanza) = &observation.what else {
            continue;
        };
        let session = stanza.client().and_then(|client| index.devices.get(&client).copied());
        let (Some(session), Some(status)) = (session, proves(stanza)) else {
            continue;
        };
        arrived.extend(stanza.ids().map(|whatsapp_id| Arrived {
            at: observation.at,
            session: &session.id,
            whatsapp_id,
            status,
            connection: stanza.connection,
        }));
    }
    arrived.retain(|receipt| {
        let of = index.by_whatsapp_id.get(receipt.whatsapp_id);
        of.is_some_and(|accepted| accepted.request.session == receipt.session)
    });
    arrived
}

fn proves(stanza: &Stanza) -> Option<&'static str> {
    if stanza.tag != "receipt" || stanza.direction != Direction::ToClient {
        return None;
    }
    match stanza.kind.as_deref() {
        None | Some("inactive") => Some("delivered"),
        Some("read") => Some("read"),
        Some("played") => Some("played"),
        Some(_) => None,
    }
}

pub(super) fn receipts_older_than_a_second_are_not_lost(index: &Index<'_>) -> Vec<String> {
    let mut closed: HashMap<u64, Millis> = HashMap::new();
    for observation in &index.recording.observations {
        if let Observed::Closed(end) = &observation.what {
            closed.insert(end.connection, observation.at);
        }
    }
    let settled = |receipt: &Arrived<'_>| {
        let after = receipt.at + SETTLED;
        let lived = index
            .recording
            .lives
            .iter()
            .any(|life| life.started <= receipt.at && after <= life.ended);
        lived && closed.get(&receipt.connection).is_none_or(|at| after <= *at)
    };
    let lost = arrived(index).into_iter().filter(settled).filter(|receipt| {
        let accepted = &index.by_whatsapp_id[receipt.whatsapp_id];
        let furthest = index
            .events_of(accepted.message)
            .iter()
            .filter_map(|event| rank(status_of(&event.kind)?))
            .filter(|rank| *rank < 6)
            .max();
        furthest < rank(receipt.status)
    });
    lost.map(|receipt| {
        let (id, status, session) = (receipt.whatsapp_id, receipt.status, receipt.session);
        format!("{session} was told that {id} is {status}, and the log does not say so")
    })
    .collect()
}
