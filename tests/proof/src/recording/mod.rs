//! What was seen from outside during a run, in the order in which it was seen. One file of lines for each part; the
//! parts are independent witnesses, and the checker compares them.

mod files;
mod wire;

use serde::{Deserialize, Serialize};

pub(crate) use files::lines;
pub use files::{Files, Part, read};
pub use wire::{Closed, Copy, Decryption, Direction, Login, Observation, Observed, Stanza};

/// Milliseconds since 1970, by the machine's clock.
pub type Millis = u64;

/// Everything that was recorded.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// What the run was.
    pub about: About,
    /// Every call that asked for a message, and how it ended.
    pub requests: Vec<RequestLine>,
    /// What virtual phones and the Baileys companion sent to the sessions.
    pub inbound: Vec<InboundLine>,
    /// The event feed as a client followed it from start to end, over all restarts.
    pub followed: Vec<EventLine>,
    /// The event feed as a client read it from its start after everything had happened.
    pub log: Vec<EventLine>,
    /// The sandbox's raw log.
    pub observations: Vec<Observation>,
    /// What the Baileys companion said.
    pub peer: Vec<PeerLine>,
    /// When Wharf ran.
    pub lives: Vec<Life>,
    /// When something was broken on purpose.
    pub faults: Vec<FaultLine>,
    /// The messages as the API showed them in the end.
    pub messages: Vec<MessageLine>,
    /// The steps of each session as the API told them in the end.
    pub history: Vec<HistoryLine>,
}

/// What the run was.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct About {
    /// The program that made the recording.
    pub program: String,
    /// Its seed.
    pub seed: u64,
    /// `sqlite` or `postgres`.
    pub dialect: String,
    /// The sessions under test.
    pub sessions: Vec<SessionAbout>,
    /// The Baileys companion.
    pub peer: Option<Device>,
    /// What the recording has to show at least.
    pub floors: Floors,
}

/// A session and the account that it is linked to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SessionAbout {
    /// Its id.
    pub id: String,
    /// Its device.
    pub device: Device,
}

/// A linked device of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Device {
    /// The account's number.
    pub phone: String,
    /// Which of its devices; 0 is the phone itself.
    pub device: u64,
}

impl Device {
    /// `NUMBER:DEVICE`, as the sandbox writes it.
    pub fn address(&self) -> String {
        format!("{}:{}", self.phone, self.device)
    }
}

/// How much a recording has to show, so that one that shows nothing proves nothing.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Floors {
    /// Ends by SIGKILL.
    pub kills: usize,
    /// Messages accepted in each life that ended by a kill and counts.
    pub accepted_per_life: usize,
    /// Accepted messages.
    pub accepted: usize,
    /// Messages that phones and the companion sent.
    pub inbound: usize,
    /// Copies that a virtual phone decrypted.
    pub decrypted: usize,
    /// Copies that the Baileys companion decrypted.
    pub peer_copies: usize,
    /// Delivery receipts that reached Wharf.
    pub delivered: usize,
    /// Read receipts that reached Wharf.
    pub read: usize,
    /// Calls whose connection broke before the answer.
    pub unknown: usize,
    /// Messages that were on the wire more than once.
    pub sent_again: usize,
    /// Things that were broken on purpose.
    pub faults: usize,
}

/// One side of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum RequestLine {
    /// Written before the call.
    Request(Request),
    /// Written after it.
    Outcome(Outcome),
}

/// A call that asks for a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Names the call; a repeat has another one.
    pub call: u64,
    /// Its `Idempotency-Key`; a repeat has the same.
    pub key: String,
    /// The session.
    pub session: String,
    /// The recipient's number.
    pub to: String,
    /// What the message says; no other message says the same.
    pub text: String,
    /// When.
    pub at: Millis,
}

/// How a call ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Which call.
    pub call: u64,
    /// When.
    pub at: Millis,
    /// How.
    #[serde(flatten)]
    pub end: End,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// 202.
    Accepted {
        /// Wharf's id of the message.
        message: String,
        /// WhatsApp's id of the message.
        whatsapp_id: String,
        /// Whether it was the repeated answer to an earlier call.
        replayed: bool,
    },
    /// Another answer.
    Refused {
        /// Its status.
        status: u16,
        /// Its code.
        code: String,
    },
    /// No answer.
    Unknown {
        /// What the client saw.
        error: String,
    },
}

/// A text that somebody sent to a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InboundLine {
    /// WhatsApp's id of it.
    pub id: String,
    /// The sender's number.
    pub from: String,
    /// The number of the session's account.
    pub to: String,
    /// What it says; no other message says the same.
    pub text: String,
    /// When.
    pub at: Millis,
}

/// An event of the feed, as far as the checker looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// Its id.
    pub id: String,
    /// Its type, such as `message.sent`.
    pub kind: String,
    /// Its place.
    pub seq: String,
    /// Its session.
    pub session: Option<String>,
    /// The message that it is about.
    pub message: Option<String>,
    /// WhatsApp's id of that message.
    pub whatsapp_id: Option<String>,
    /// `message.received`: what the message says.
    pub text: Option<String>,
    /// `message.received`: whether the account itself sent it.
    pub from_me: bool,
    /// `session.status`: the status.
    pub status: Option<String>,
    /// When the client got it.
    pub at: Millis,
}

/// What the Baileys companion said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerLine {
    /// What happened: `message`, `undecryptable`, `closed`, `open`, `sent`, …
    pub event: String,
    /// WhatsApp's id of the message.
    pub id: Option<String>,
    /// The sender's number.
    pub from_phone: Option<String>,
    /// Names the ciphertext.
    pub copy: Option<String>,
    /// What the message says.
    pub text: Option<String>,
    /// Its secret in hexadecimal digits.
    pub secret: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Why a connection closed.
    pub code: Option<i64>,
    /// To whom it sent.
    pub to: Option<String>,
    /// When.
    pub at: Millis,
}

/// A process of Wharf, from its start to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Life {
    /// When it was started.
    pub started: Millis,
    /// When it was ended.
    pub ended: Millis,
    /// How.
    pub end: LifeEnd,
    /// What was going on at the end.
    pub moment: String,
    /// How many messages it accepted.
    pub accepted: usize,
    /// Milliseconds until every session was ready, where somebody waited for that.
    pub ready_after: Option<Millis>,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifeEnd {
    /// SIGKILL after the messages of a life were accepted.
    Kill,
    /// SIGKILL while it started; it accepted nothing and is not counted.
    EarlyKill,
    /// It was asked to stop.
    Stop,
}

/// Something that was broken on purpose.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultLine {
    /// What.
    pub what: String,
    /// From when.
    pub from: Millis,
    /// Until when.
    pub until: Millis,
    /// Whether logins are refused meanwhile, and the refusal is no fault of Wharf.
    pub refuses_logins: bool,
    /// How often it happened; at least once, or nothing was tested.
    pub fired: u64,
}

/// A message as the API showed it in the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageLine {
    /// Its id.
    pub id: String,
    /// WhatsApp's id of it.
    pub whatsapp_id: String,
    /// Its session.
    pub session: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// Its status.
    pub status: String,
    /// The steps that it took, oldest first.
    pub timeline: Vec<String>,
}

/// A step of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The session.
    pub session: String,
    /// Its status then.
    pub status: String,
}
