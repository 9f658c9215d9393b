//! The recording by what it is looked up by. No judgement is made here.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::recording::{
    Decryption, End, EventLine, Millis, Observed, Outcome, Recording, Request, RequestLine, SessionAbout, Stanza,
};

/// An answer 202.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted<'a> {
    pub request: &'a Request,
    pub message: &'a str,
    pub whatsapp_id: &'a str,
    /// When the answer came.
    pub at: Millis,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Index<'a> {
    pub recording: &'a Recording,
    /// By `NUMBER:DEVICE`.
    pub devices: HashMap<String, &'a SessionAbout>,
    pub session_phones: HashMap<&'a str, &'a SessionAbout>,
    /// When each key was first asked with.
    pub asked: HashMap<&'a str, Millis>,
    /// Every call, oldest first.
    pub calls: Vec<&'a Request>,
    pub outcomes: HashMap<u64, &'a Outcome>,
    /// Every answer 202, oldest first.
    pub answers: Vec<Accepted<'a>>,
    /// The first answer 202 to each key.
    pub accepted: BTreeMap<&'a str, Accepted<'a>>,
    /// By WhatsApp's id.
    pub by_whatsapp_id: HashMap<&'a str, Accepted<'a>>,
    /// By text, which names a message.
    pub by_text: HashMap<&'a str, Accepted<'a>>,
    /// Messages of the sessions' devices on the wire, in order: the device and the stanza.
    pub wire: Vec<(&'a SessionAbout, Millis, &'a Stanza)>,
    /// Positions in `wire` by WhatsApp's id.
    pub wire_by_id: HashMap<&'a str, Vec<usize>>,
    /// What virtual phones made of copies from the sessions' devices.
    pub decryptions: Vec<&'a Decryption>,
    /// Events of the log by message.
    pub events: HashMap<&'a str, Vec<&'a EventLine>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(recording: &'a Recording) -> Self {
        let about = &recording.about;
        let sessions: Vec<&SessionAbout> = about.sessions.iter().collect();
        let mut index = Self {
            recording,
            devices: sessions
                .iter()
                .map(|session| (session.device.address(), *session))
                .collect(),
            session_phones: sessions
                .iter()
                .map(|session| (session.device.phone.as_str(), *session))
                .collect(),
            asked: HashMap::new(),
            calls: Vec::new(),
            outcomes: HashMap::new(),
            answers: Vec::new(),
            accepted: BTreeMap::new(),
            by_whatsapp_id: HashMap::new(),
            by_text: HashMap::new(),
            wire: Vec::new(),
            wire_by_id: HashMap::new(),
            decryptions: Vec::new(),
            events: HashMap::new(),
        };
        index.add_requests();
        index.add_observations();
        for event in &recording.log {
            if let Some(message) = &event.message {
                index.events.entry(message).or_default().push(event);
            }
        }
        index
    }

    fn add_requests(&mut self) {
        let mut by_call = HashMap::new();
        for line in &self.recording.requests {
            match line {
                RequestLine::Request(request) => {
                    by_call.insert(request.call, request);
                    self.asked.entry(&request.key).or_insert(request.at);
                    self.calls.push(request);
                }
                RequestLine::Outcome(outcome) => {
                    self.outcomes.insert(outcome.call, outcome);
                    let request = by_call.get(&outcome.call).copied();
                    self.add_answer(request, outcome);
                }
            }
        }
    }

    fn add_answer(&mut self, request: Option<&'a Request>, outcome: &'a Outcome) {
        let (
            Some(request),
            End::Accepted {
                message, whatsapp_id, ..
            },
        ) = (request, &outcome.end)
        else {
            return;
        };
        let answer = Accepted {
            request,
            message,
            whatsapp_id,
            at: outcome.at,
        };
        self.answers.push(answer);
        self.accepted.entry(&request.key).or_insert(answer);
        self.by_whatsapp_id.entry(whatsapp_id).or_insert(answer);
        self.by_text.entry(&request.text).or_insert(answer);
    }

    fn add_observations(&mut self) {
        for observation in &self.recording.observations {
            match &observation.what {
                Observed::Stanza(stanza) if stanza.is_sent_message() => self.add_wire(observation.at, stanza),
                Observed::Decrypted(decryption) if self.devices.contains_key(&decryption.from_device) => {
                    self.decryptions.push(decryption);
                }
                _ => {}
            }
        }
    }

    fn add_wire(&mut self, at: Millis, stanza: &'a Stanza) {
        let session = stanza.client().and_then(|client| self.devices.get(&client).copied());
        let (Some(session), Some(id)) = (session, &stanza.id) else {
            return;
        };
        self.wire_by_id.entry(id).or_default().push(self.wire.len());
        self.wire.push((session, at, stanza));
    }

    /// The stanzas that carried an accepted message: its id, from its session's device.
    pub(super) fn wire_of(&self, accepted: &Accepted<'a>) -> Vec<(Millis, &'a Stanza)> {
        let places = self.wire_by_id.get(accepted.whatsapp_id).into_iter().flatten();
        places
            .map(|place| self.wire[*place])
            .filter(|(session, ..)| session.id == accepted.request.session)
            .map(|(_, at, stanza)| (at, stanza))
            .collect()
    }

    /// Every event of a message's way.
    pub(super) fn events_of(&self, message: &str) -> &[&'a EventLine] {
        self.events.get(message).map(Vec::as_slice).unwrap_or_default()
    }

    /// The numbers that messages were for.
    pub(super) fn recipients(&self) -> HashSet<&'a str> {
        self.calls.iter().map(|request| request.to.as_str()).collect()
    }
}

/// How far a status has come; `None` for what is no step of an outbound message.
pub(super) fn rank(status: &str) -> Option<u8> {
    match status {
        "queued" => Some(0),
        "sending" => Some(1),
        "sent" => Some(2),
        "delivered" => Some(3),
        "read" => Some(4),
        "played" => Some(5),
        "failed" | "expired" | "cancelled" => Some(6),
        _ => None,
    }
}

/// The status that an event tells of.
pub(super) fn status_of(kind: &str) -> Option<&str> {
    kind.strip_prefix("message.").filter(|status| rank(status).is_some())
}
