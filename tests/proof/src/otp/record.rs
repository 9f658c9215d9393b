//! What was seen from outside: every call with its answer, what phones showed, and what the API told in the end.

use serde::Serialize;

use crate::recording::Millis;

/// Everything that was recorded.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What the run was.
    pub about: About,
    /// Every call, in the order in which they ended. Calls about one verification never overlap.
    pub calls: Vec<Call>,
    /// Every SIGKILL.
    pub kills: Vec<Kill>,
    /// Every visitor who left.
    pub visits: Vec<Visit>,
    /// Every copy of a message that a visitor's phone decrypted, in order, again and again where it was sent so.
    pub arrivals: Vec<Arrival>,
    /// What visitors' phones showed in the end, in the order of each phone.
    pub bubbles: Vec<Bubble>,
    /// The verifications as the API showed them in the end.
    pub verifications: Vec<Verification>,
    /// What the event log tells of verifications.
    pub events: Vec<Event>,
}

/// What the run was.
#[derive(Clone, Debug, Default, Serialize)]
pub struct About {
    /// Its seed.
    pub seed: u64,
    /// `sqlite` or `postgres`.
    pub dialect: String,
    /// How many codes may be tried, as it is configured.
    pub attempts: u32,
    /// What the record has to show at least.
    pub floors: Floors,
}

/// How much a record has to show, so that one that shows nothing proves nothing.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Floors {
    /// Ends by SIGKILL, those during a start left out.
    pub kills: usize,
    /// Verifications that were approved.
    pub approved: usize,
    /// Codes that were asked for again.
    pub resent: usize,
    /// Wrong codes that were told to be wrong.
    pub wrong: usize,
    /// Calls without an answer.
    pub lost: usize,
    /// Kills between the answer to a send and the phone.
    pub on_the_way: usize,
    /// Kills between the phone and the check.
    pub untyped: usize,
}

/// A call and its end.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Whose.
    pub visitor: u64,
    /// When it began.
    pub from: Millis,
    /// When it was answered, or when it was clear that it would not be.
    pub until: Millis,
    /// What was asked.
    #[serde(flatten)]
    pub ask: Ask,
    /// `None`: none came.
    pub answer: Option<Answer>,
}

/// What is asked.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// `POST /api/otp/send`
    Send {
        /// To whom: digits.
        phone: String,
        /// The `Idempotency-Key`.
        key: String,
    },
    /// `POST /api/otp/verify`
    Check {
        /// The verification.
        id: String,
        /// What was typed.
        code: String,
        /// The `Idempotency-Key`.
        key: String,
    },
    /// `GET /api/otp/{id}`
    Look {
        /// The verification.
        id: String,
    },
}

/// An answer, as far as the judge looks at it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The stable code of a problem; empty where there is none.
    pub code: String,
    /// The verification.
    pub id: Option<String>,
    /// Its status; empty in problems.
    pub state: String,
    /// Whether it is the repeated answer to an earlier call.
    pub replayed: bool,
    /// How many codes may still be tried.
    pub attempts_remaining: Option<u32>,
    /// How many messages it names.
    pub messages: usize,
}

impl Call {
    /// The verification of a send that was accepted.
    pub fn accepted(&self) -> Option<&str> {
        let answer = self.answer.as_ref().filter(|answer| answer.status == 202)?;
        answer.id.as_deref()
    }
}

/// A SIGKILL.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Kill {
    /// When.
    pub at: Millis,
    /// The process was starting, and nobody called it yet.
    pub during_start: bool,
}

/// A visitor who left.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Visit {
    /// Who.
    pub visitor: u64,
    /// His phone: digits.
    pub phone: String,
    /// The verification, where one was made.
    pub id: Option<String>,
    /// The last code that he read, and the key that he checked it with.
    pub last: Option<(String, String)>,
    /// Why he left before he was done.
    pub trouble: Option<String>,
}

/// A copy of a message that a phone decrypted.
#[derive(Clone, Debug, Serialize)]
pub struct Arrival {
    /// The phone.
    pub phone: String,
    /// WhatsApp's id of the message.
    pub whatsapp_id: String,
    /// The code that it says.
    pub code: Option<String>,
    /// When.
    pub at: Millis,
}

/// A message that a phone shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bubble {
    /// The phone.
    pub phone: String,
    /// WhatsApp's id of the message.
    pub whatsapp_id: String,
    /// The code that it says.
    pub code: Option<String>,
}

/// A verification as the API showed it in the end.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// Its id.
    pub id: String,
    /// Its phone, E.164.
    pub phone: String,
    /// Its status.
    pub status: String,
    /// Its messages, first to last.
    pub attempts: Vec<Attempt>,
    /// What came of the codes that were tried, first to last.
    pub checks: Vec<String>,
}

/// A message of a verification.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Which one, from 1.
    pub n: u64,
    /// WhatsApp's id of it.
    pub whatsapp_id: String,
}

/// An event about a verification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Event {
    /// Its type, such as `otp.approved`.
    pub kind: String,
    /// The verification.
    pub id: String,
}
