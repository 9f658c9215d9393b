//! Callers that ask for messages, and write down before and after each call what they did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::task::JoinSet;
use wharf_testkit::process::{Answer, ProcessError, Remote};

use super::{Recorder, now};
use crate::recording::{End, Request, SessionAbout};

/// How long a caller waits before it repeats what was refused.
const REPEAT_AFTER: Duration = Duration::from_millis(100);

/// How fast callers call.
#[derive(Debug, Default)]
pub struct Pace {
    gap_ms: AtomicU64,
    stop: AtomicBool,
}

impl Pace {
    /// Slow from the start.
    pub fn with_gap(gap: Duration) -> Self {
        let pace = Self::default();
        pace.slow_down(gap);
        pace
    }

    /// Each caller pauses this long between two calls.
    pub fn slow_down(&self, gap: Duration) {
        let gap = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        self.gap_ms.store(gap, Ordering::Relaxed);
    }

    /// No caller makes another call.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    async fn pause(&self) {
        let gap = self.gap_ms.load(Ordering::Relaxed);
        if gap > 0 {
            tokio::time::sleep(Duration::from_millis(gap)).await;
        }
    }
}

/// The callers of one life.
#[derive(Debug)]
pub struct Load {
    pace: Arc<Pace>,
    accepted: Arc<AtomicUsize>,
    callers: JoinSet<()>,
}

/// What callers need to know.
#[derive(Clone, Debug)]
pub struct Callers {
    /// Who writes down.
    pub recorder: Arc<Recorder>,
    /// Whom they call.
    pub api: Remote,
    /// Through which sessions.
    pub sessions: Vec<SessionAbout>,
    /// To whom: numbers. The more often one stands here, the more it gets.
    pub recipients: Vec<String>,
    /// Which of the many.
    pub seed: u64,
    /// How many at once.
    pub count: usize,
}

impl Load {
    /// Starts the callers. Each begins with requests whose end was not known when the last life ended.
    pub fn start(callers: &Callers, pace: Pace) -> Self {
        let (pace, accepted) = (Arc::new(pace), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for number in 0..callers.count {
            let caller = Caller {
                callers: callers.clone(),
                rng: StdRng::seed_from_u64(callers.seed.wrapping_mul(1_000_003).wrapping_add(number as u64)),
                pace: Arc::clone(&pace),
                accepted: Arc::clone(&accepted),
            };
            tasks.spawn(caller.run());
        }
        Self {
            pace,
            accepted,
            callers: tasks,
        }
    }

    /// Asks once more, with the same keys, for everything that nobody knows the end of. Says how much that was.
    pub async fn repeat_open(callers: &Callers) -> usize {
        let open = callers.recorder.take_open();
        let count = open.len();
        for request in open {
            ask(callers, again(callers, request)).await;
        }
        count
    }

    /// One message through one session.
    pub async fn say(callers: &Callers, session: &SessionAbout, to: &str) {
        let call = callers.recorder.next_call();
        let request = Request {
            call,
            key: format!("proof-{call}"),
            session: session.id.clone(),
            to: to.to_owned(),
            text: format!("message {call} to begin with"),
            at: now(),
        };
        ask(callers, request).await;
    }

    /// How many new messages were accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Their pace.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Waits for the calls that are on their way; every one of them has its outcome then. Says how many new messages
    /// were accepted.
    pub async fn finish(mut self) -> usize {
        self.pace.stop();
        while self.callers.join_next().await.is_some() {}
        self.accepted.load(Ordering::Relaxed)
    }
}

struct Caller {
    callers: Callers,
    rng: StdRng,
    pace: Arc<Pace>,
    accepted: Arc<AtomicUsize>,
}

impl Caller {
    async fn run(mut self) {
        while !self.pace.is_stopped() {
            let known = self.repeat_open().await && self.ask_for_another().await;
            if known {
                self.pace.pause().await;
            } else {
                tokio::time::sleep(REPEAT_AFTER).await;
            }
        }
    }

    /// What the last life left open comes first.
    async fn repeat_open(&self) -> bool {
        let mut known = true;
        for request in self.callers.recorder.take_open() {
            known &= ask(&self.callers, again(&self.callers, request)).await.is_some();
        }
        known
    }

    async fn ask_for_another(&mut self) -> bool {
        let request = self.new_request();
        let asked = ask(&self.callers, request).await;
        if asked == Some(Novelty::New) {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
        asked.is_some()
    }

    fn new_request(&mut self) -> Request {
        let call = self.callers.recorder.next_call();
        let session = self.rng.random_range(0..self.callers.sessions.len());
        let session = &self.callers.sessions[session];
        let to = loop {
            let to = self.rng.random_range(0..self.callers.recipients.len());
            let to = &self.callers.recipients[to];
            if *to != session.device.phone {
                break to.clone();
            }
        };
        let filling: String = (0..self.rng.random_range(0..60))
            .map(|_| self.rng.random_range('a'..='z'))
            .collect();
        Request {
            call,
            key: format!("proof-{call}"),
            session: session.id.clone(),
            to,
            text: format!("message {call} {filling}"),
            at: now(),
        }
    }
}

/// Whether an accepted message is one that nobody knew of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Novelty {
    New,
    Known,
}

/// The same request in another call.
fn again(callers: &Callers, request: Request) -> Request {
    Request {
        call: callers.recorder.next_call(),
        at: now(),
        ..request
    }
}

/// `None` when the message was not accepted, as far as anybody knows.
async fn ask(callers: &Callers, request: Request) -> Option<Novelty> {
    let body = json!({
        "session_id": request.session, "to": format!("+{}", request.to),
        "type": "text", "text": { "body": request.text },
    });
    callers.recorder.request(&request);
    let answer = callers.api.attempt("/api/messages", &body, Some(&request.key)).await;
    let end = end_of(answer);
    let accepted = matches!(end, End::Accepted { .. });
    let new = callers.recorder.outcome(&request, end);
    accepted.then_some(if new { Novelty::New } else { Novelty::Known })
}

fn end_of(answer: Result<Answer, ProcessError>) -> End {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return End::Unknown {
                error: error.to_string(),
            };
        }
    };
    let text = |field: &str| answer.body[field].as_str().map(str::to_owned);
    match (answer.status, text("id"), text("whatsapp_message_id")) {
        (202, Some(message), Some(whatsapp_id)) => End::Accepted {
            message,
            whatsapp_id,
            replayed: answer.replayed,
        },
        (status, ..) => End::Refused {
            status,
            code: text("code").unwrap_or_default(),
        },
    }
}
