//! A recording of a small run that went well, made by hand: two sessions, a phone, a companion, one kill.

use wharf_proof::Recording;
use wharf_proof::recording::{
    About, Copy, Decryption, Device, Direction, End, EventLine, Floors, HistoryLine, InboundLine, Life, LifeEnd, Login,
    MessageLine, Observation, Observed, Outcome, PeerLine, Request, RequestLine, SessionAbout, Stanza,
};

pub const FRIEND: &str = "15550000001";
pub const PEER: &str = "15550000002";
pub const ONE: &str = "15550000003";
pub const OTHER: &str = "15550000004";

/// When the first life ends.
pub const KILL: u64 = 10_000;
const END: u64 = 90_000;

/// The recording. Each message is accepted, sent, delivered and read in its own second.
pub fn recording() -> Recording {
    let mut made = Recording {
        about: about(),
        ..Recording::default()
    };
    login(&mut made, "ses_1", 500);
    login(&mut made, "ses_2", 500);
    Outbound::new(1, "ses_1", FRIEND, 1000).record(&mut made);
    Outbound::new(2, "ses_1", FRIEND, 2000).record(&mut made);
    Outbound::new(3, "ses_2", PEER, 3000).record(&mut made);
    // One session writes to the other.
    Outbound::new(4, "ses_1", OTHER, 4000).record(&mut made);
    receive(&mut made, "ses_2", "WA4", "text 4", 4050);
    inbound(&mut made, "IN1", FRIEND, ONE, 5000);
    inbound(&mut made, "IN2", PEER, OTHER, 6000);
    unknown_then_repeated(&mut made);
    made.lives = vec![life(0, KILL, LifeEnd::Kill, 4), life(KILL + 100, END, LifeEnd::Stop, 1)];
    made.followed = made.log.clone();
    made.history = ["pending", "authenticated", "ready", "disconnected", "ready"]
        .map(|status| HistoryLine {
            session: "ses_1".to_owned(),
            status: status.to_owned(),
        })
        .to_vec();
    made
}

fn about() -> About {
    let session = |id: &str, phone: &str| SessionAbout {
        id: id.to_owned(),
        device: device(phone),
    };
    About {
        program: "by hand".to_owned(),
        seed: 1,
        dialect: "none".to_owned(),
        sessions: vec![session("ses_1", ONE), session("ses_2", OTHER)],
        peer: Some(device(PEER)),
        floors: Floors {
            kills: 1,
            accepted_per_life: 4,
            accepted: 5,
            ..Floors::default()
        },
    }
}

fn device(phone: &str) -> Device {
    Device {
        phone: phone.to_owned(),
        device: 1,
    }
}

fn life(started: u64, ended: u64, end: LifeEnd, accepted: usize) -> Life {
    Life {
        started,
        ended,
        end,
        moment: "by hand".to_owned(),
        accepted,
        ready_after: Some(200),
    }
}

/// The connection broke before the answer, the message was on the wire before the kill and after it.
fn unknown_then_repeated(made: &mut Recording) {
    let mut cut = Outbound::new(5, "ses_2", FRIEND, KILL - 20);
    cut.request(made);
    cut.outcome(
        made,
        End::Unknown {
            error: "gone".to_owned(),
        },
    );
    cut.queued(made);
    cut.wire(made, 1);
    cut.call = 6;
    cut.at = KILL + 1000;
    cut.request(made);
    let answer = cut.accepted();
    cut.outcome(made, answer);
    cut.wire(made, 2);
    cut.steps(made);
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn observe(made: &mut Recording, at: u64, what: Observed) {
    made.observations.push(Observation { at, what });
}

fn login(made: &mut Recording, session: &str, at: u64) {
    let (phone, connection) = account(session);
    let login = Login {
        phone: text(phone),
        device: Some(1),
        connection,
        refused: None,
    };
    observe(made, at, Observed::Login(login));
}

fn account(session: &str) -> (&'static str, u64) {
    if session == "ses_1" { (ONE, 1) } else { (OTHER, 2) }
}

fn stanza(session: &str, direction: Direction, tag: &str, id: &str, kind: Option<&str>) -> Stanza {
    let (phone, connection) = account(session);
    Stanza {
        connection,
        phone: text(phone),
        device: Some(1),
        direction,
        tag: tag.to_owned(),
        id: text(id),
        kind: kind.map(str::to_owned),
        class: None,
        error: None,
        more_ids: Vec::new(),
        enc: Vec::new(),
    }
}

fn event(made: &mut Recording, kind: &str, session: &str, at: u64) -> EventLine {
    let number = made.log.len() + 1;
    EventLine {
        id: format!("evt_{number}"),
        kind: kind.to_owned(),
        seq: number.to_string(),
        session: text(session),
        message: None,
        whatsapp_id: None,
        text: None,
        from_me: false,
        status: None,
        at,
    }
}

fn inbound(made: &mut Recording, id: &str, from: &str, to: &str, at: u64) {
    let said = format!("inbound {id}");
    made.inbound.push(InboundLine {
        id: id.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        text: said.clone(),
        at,
    });
    let session = if to == ONE { "ses_1" } else { "ses_2" };
    receive(made, session, id, &said, at + 10);
}

/// A message arrives, is stored, and is acknowledged.
fn receive(made: &mut Recording, session: &str, id: &str, said: &str, at: u64) {
    let arrives = stanza(session, Direction::ToClient, "message", id, Some("text"));
    observe(made, at, Observed::Stanza(arrives));
    let mut told = event(made, "message.received", session, at + 1);
    told.message = Some(format!("msg_of_{id}"));
    told.whatsapp_id = text(id);
    told.text = text(said);
    made.log.push(told);
    let receipt = stanza(session, Direction::FromClient, "receipt", id, None);
    observe(made, at + 2, Observed::Stanza(receipt));
    made.messages.push(MessageLine {
        id: format!("msg_of_{id}"),
        whatsapp_id: id.to_owned(),
        session: session.to_owned(),
        direction: "inbound".to_owned(),
        status: "received".to_owned(),
        timeline: vec!["received".to_owned()],
    });
}

/// An outbound message on its way.
struct Outbound {
    number: u64,
    call: u64,
    session: &'static str,
    to: &'static str,
    at: u64,
}

impl Outbound {
    fn new(number: u64, session: &'static str, to: &'static str, at: u64) -> Self {
        Self {
            number,
            call: number,
            session,
            to,
            at,
        }
    }

    fn record(&self, made: &mut Recording) {
        self.request(made);
        self.outcome(made, self.accepted());
        self.queued(made);
        self.wire(made, 1);
        self.steps(made);
    }

    fn says(&self) -> String {
        format!("text {}", self.number)
    }

    fn whatsapp_id(&self) -> String {
        format!("WA{}", self.number)
    }

    fn request(&self, made: &mut Recording) {
        made.requests.push(RequestLine::Request(Request {
            call: self.call,
            key: format!("key {}", self.number),
            session: self.session.to_owned(),
            to: self.to.to_owned(),
            text: self.says(),
            at: self.at,
        }));
    }

    fn accepted(&self) -> End {
        End::Accepted {
            message: format!("msg_{}", self.number),
            whatsapp_id: self.whatsapp_id(),
            replayed: false,
        }
    }

    fn outcome(&self, made: &mut Recording, end: End) {
        made.requests.push(RequestLine::Outcome(Outcome {
            call: self.call,
            at: self.at + 1,
            end,
        }));
    }

    fn step(&self, made: &mut Recording, kind: &str) {
        let mut told = event(made, kind, self.session, self.at + 5);
        told.message = Some(format!("msg_{}", self.number));
        told.whatsapp_id = Some(self.whatsapp_id());
        made.log.push(told);
    }

    fn queued(&self, made: &mut Recording) {
        self.step(made, "message.queued");
    }

    /// One time on the wire: a copy for the phone, one for its companion where it has one, one for the own phone.
    fn wire(&self, made: &mut Recording, time: u32) {
        let (own, _) = account(self.session);
        let counter = u32::try_from(self.number).unwrap_or_default() * 10 + time;
        let mut recipients = vec![format!("{}:0", self.to), format!("{own}:0")];
        if self.to == PEER || self.to == OTHER {
            recipients.push(format!("{}:1", self.to));
        }
        let mut sent = stanza(
            self.session,
            Direction::FromClient,
            "message",
            &self.whatsapp_id(),
            Some("text"),
        );
        let copy = |recipient: &String| Copy {
            recipient: recipient.clone(),
            kind: "msg".to_owned(),
            ratchet_key: Some(format!("key for {recipient}")),
            counter: Some(counter),
        };
        sent.enc = recipients.iter().map(copy).collect();
        observe(made, self.at + 2, Observed::Stanza(sent));
        for phone in [self.to, own] {
            observe(made, self.at + 3, Observed::Decrypted(self.decryption(phone, counter)));
        }
        if self.to == PEER {
            made.peer.push(self.peer_line(time));
        }
    }

    fn secret(&self) -> Option<String> {
        Some(format!("{:064x}", self.number))
    }

    fn decryption(&self, phone: &str, counter: u32) -> Decryption {
        Decryption {
            phone: phone.to_owned(),
            from_device: format!("{}:1", account(self.session).0),
            id: self.whatsapp_id(),
            ratchet_key: Some(format!("key for {phone}:0")),
            counter: Some(counter),
            secret: self.secret(),
            text: Some(self.says()),
            error: None,
        }
    }

    fn peer_line(&self, time: u32) -> PeerLine {
        PeerLine {
            event: "message".to_owned(),
            id: Some(self.whatsapp_id()),
            from_phone: text(account(self.session).0),
            copy: Some(format!("copy {} {time}", self.number)),
            text: Some(self.says()),
            secret: self.secret(),
            at: self.at + 4,
            ..PeerLine::default()
        }
    }

    fn steps(&self, made: &mut Recording) {
        self.step(made, "message.sent");
        for (kind, status) in [(None, "message.delivered"), (Some("read"), "message.read")] {
            let receipt = stanza(self.session, Direction::ToClient, "receipt", &self.whatsapp_id(), kind);
            observe(made, self.at + 6, Observed::Stanza(receipt));
            self.step(made, status);
        }
        made.messages.push(MessageLine {
            id: format!("msg_{}", self.number),
            whatsapp_id: self.whatsapp_id(),
            session: self.session.to_owned(),
            direction: "outbound".to_owned(),
            status: "read".to_owned(),
            timeline: ["queued", "sending", "queued", "sending", "sent", "delivered", "read"]
                .map(str::to_owned)
                .to_vec(),
        });
    }
}
