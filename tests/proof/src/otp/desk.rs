//! Where visitors and whoever kills meet: visitors call whatever process there is, and each of their steps is told to those who
//! wait for a moment to kill.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::sync::watch;
use wharf_testkit::process::{ProcessError, Remote};

use super::book::Book;
use super::phone::DIGITS;
use super::record::{Answer, Ask, Call, Kill, Visit};
use crate::drive::now;

/// The steps between which a process can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A code is being asked for.
    Sending,
    /// That was answered.
    Sent,
    /// The visitor read the code on his phone.
    Shown,
    /// The visitor has typed it.
    Checking,
    /// That was answered.
    Approved,
}

impl Step {
    pub(super) const ALL: [Self; 5] = [Self::Sending, Self::Sent, Self::Shown, Self::Checking, Self::Approved];
}

/// How often each step was taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steps {
    sending: usize,
    sent: usize,
    shown: usize,
    checking: usize,
    approved: usize,
    /// How many visitors have left.
    pub left: usize,
}

impl Steps {
    pub(super) const fn of(&self, step: Step) -> usize {
        match step {
            Step::Sending => self.sending,
            Step::Sent => self.sent,
            Step::Shown => self.shown,
            Step::Checking => self.checking,
            Step::Approved => self.approved,
        }
    }

    const fn take(&mut self, step: Step) {
        match step {
            Step::Sending => self.sending += 1,
            Step::Sent => self.sent += 1,
            Step::Shown => self.shown += 1,
            Step::Checking => self.checking += 1,
            Step::Approved => self.approved += 1,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Desk {
    pub book: Book,
    /// The phones.
    pub control: Remote,
    /// The process that is there.
    door: watch::Sender<Option<Remote>>,
    steps: watch::Sender<Steps>,
    visitors: AtomicU64,
    is_closing: AtomicBool,
}

impl Desk {
    pub(super) fn new(book: Book, control: Remote) -> Self {
        Self {
            book,
            control,
            door: watch::Sender::new(None),
            steps: watch::Sender::new(Steps::default()),
            visitors: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
        }
    }

    /// A process is there.
    pub(super) fn open(&self, api: Remote) {
        self.door.send_replace(Some(api));
    }

    /// It is killed now: no further call begins, those on their way are cut off.
    pub(super) fn close(&self) {
        self.door.send_replace(None);
        self.book.kill(Kill {
            at: now(),
            during_start: false,
        });
    }

    /// Nobody comes any more; those who are there go on.
    pub(super) fn close_for_good(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// The next visitor's number, unless nobody comes any more.
    pub(super) fn next_visitor(&self) -> Option<u64> {
        let open = !self.is_closing.load(Ordering::Relaxed);
        open.then(|| self.visitors.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A visitor leaves.
    pub(super) fn leave(&self, visit: Visit) {
        self.book.visit(visit);
        self.steps.send_modify(|steps| steps.left += 1);
    }

    /// To wait for a step.
    pub(super) fn steps(&self) -> watch::Receiver<Steps> {
        self.steps.subscribe()
    }

    /// A step was taken.
    pub(super) fn step(&self, step: Step) {
        self.steps.send_modify(|steps| steps.take(step));
    }

    /// One call, as soon as a process is there. `None`: it came to no answer.
    pub(super) async fn ask(&self, visitor: u64, ask: &Ask) -> Option<Answer> {
        let api = self.api().await;
        match ask {
            Ask::Send { .. } => self.step(Step::Sending),
            Ask::Check { .. } => self.step(Step::Checking),
            Ask::Look { .. } => {}
        }
        let from = now();
        let answer = call(&api, ask).await;
        self.book.call(Call {
            visitor,
            from,
            until: now(),
            ask: ask.clone(),
            answer: answer.clone(),
        });
        match (ask, answer.as_ref().map(|answer| answer.status)) {
            (Ask::Send { .. }, Some(202)) => self.step(Step::Sent),
            (Ask::Check { .. }, Some(200)) => self.step(Step::Approved),
            _ => {}
        }
        answer
    }

    async fn api(&self) -> Remote {
        let mut door = self.door.subscribe();
        loop {
            let open = door.borrow_and_update().clone();
            if let Some(api) = open {
                return api;
            }
            // The other end is here: it cannot be gone.
            let _ = door.changed().await;
        }
    }
}

async fn call(api: &Remote, ask: &Ask) -> Option<Answer> {
    let told = match ask {
        Ask::Send { phone, key } => {
            let request = json!({ "phone": format!("+{phone}"), "length": DIGITS });
            api.attempt("/api/otp/send", &request, Some(key)).await
        }
        Ask::Check { id, code, key } => {
            let request = json!({ "id": id, "code": code });
            api.attempt("/api/otp/verify", &request, Some(key)).await
        }
        Ask::Look { id } => return look(api, id).await,
    };
    let told = told.ok()?;
    Some(read(told.status, &told.body, told.replayed))
}

async fn look(api: &Remote, id: &str) -> Option<Answer> {
    match api.get(&format!("/api/otp/{id}")).await {
        Ok(shown) => Some(read(200, &shown, false)),
        Err(ProcessError::Refused { status, body, .. }) => {
            let problem: Value = serde_json::from_str(&body).unwrap_or_default();
            Some(read(status, &problem, false))
        }
        Err(_) => None,
    }
}

fn read(status: u16, body: &Value, replayed: bool) -> Answer {
    let text = |field: &str| body[field].as_str().map(str::to_owned);
    let left = body["attempts_remaining"].as_u64();
    Answer {
        status,
        code: text("code").unwrap_or_default(),
        id: text("id"),
        state: text("status").unwrap_or_default(),
        replayed,
        attempts_remaining: left.and_then(|left| u32::try_from(left).ok()),
        messages: body["send_attempts"].as_array().map_or(0, Vec::len),
    }
}
