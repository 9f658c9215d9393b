//! Visitors: each has a phone of his own, asks for a code, reads it and types it in, every one in his way. A call without an
//! answer is repeated with its key.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::time::Instant;
use wharf_testkit::process::until;

use super::desk::{Desk, Step};
use super::phone::{bubbles, other_than};
use super::record::{Answer, Ask, Visit};

/// How long a second code cannot be asked for.
pub(super) const COOLDOWN: Duration = Duration::from_secs(1);
/// How long a visitor waits for anything. Kills are much closer together.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long he waits before he asks again.
const REPEAT_AFTER: Duration = Duration::from_millis(50);

/// What a visitor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Types the code.
    Plain,
    /// Types it wrong first.
    Mistaken,
    /// Asks for a second code and types that one.
    Again,
    /// The same, but types the first one before.
    Stale,
    /// Types it, and types it again.
    Twice,
    /// Guesses until nothing is taken any more, and then has it right.
    Guessing,
}

impl Habit {
    const ALL: [Self; 6] = [
        Self::Plain,
        Self::Mistaken,
        Self::Again,
        Self::Stale,
        Self::Twice,
        Self::Guessing,
    ];

    /// By turns, so that short runs see all of them.
    fn of(visitor: u64) -> Self {
        let turn = usize::try_from(visitor).unwrap_or_default() % Self::ALL.len();
        Self::ALL[turn]
    }
}

/// One visitor after the other, until nobody comes any more.
pub(super) async fn lane(desk: Arc<Desk>, seed: u64) {
    let mut before: Option<String> = None;
    while let Some(number) = desk.next_visitor() {
        let visitor = Visitor {
            desk: &desk,
            habit: Habit::of(number),
            rng: StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number)),
            seen: BTreeSet::new(),
            keys: 0,
            visit: Visit {
                visitor: number,
                ..Visit::default()
            },
        };
        let visit = visitor.stay(before.as_deref()).await;
        before.clone_from(&visit.id);
        desk.leave(visit);
    }
}

/// After everything: the last code is tried with its own key and with another one, and the verification looked at.
pub(super) async fn come_back(desk: &Desk, visit: &Visit) {
    let (Some(id), Some((code, key))) = (&visit.id, &visit.last) else {
        return;
    };
    for key in [key.clone(), format!("{}-later", visit.visitor)] {
        let (id, code) = (id.clone(), code.clone());
        desk.ask(visit.visitor, &Ask::Check { id, code, key }).await;
    }
    desk.ask(visit.visitor, &Ask::Look { id: id.clone() }).await;
}

struct Visitor<'a> {
    desk: &'a Desk,
    habit: Habit,
    rng: StdRng,
    /// The messages that he has read.
    seen: BTreeSet<String>,
    keys: u32,
    visit: Visit,
}

impl Visitor<'_> {
    async fn stay(mut self, before: Option<&str>) -> Visit {
        if let Err(error) = self.go_through(before).await {
            self.visit.trouble = Some(format!("{error:#}"));
        }
        self.visit
    }

    async fn go_through(&mut self, before: Option<&str>) -> Result<()> {
        if let Some(before) = before {
            self.look(before).await?;
        }
        self.take_a_phone().await?;
        let mut id = self.send().await?;
        let mut code = self.read_code().await?;
        match self.habit {
            Habit::Plain | Habit::Twice => {}
            Habit::Mistaken => {
                for _ in 0..self.rng.random_range(1..=2) {
                    self.check(&id, &other_than(&code)).await?;
                }
            }
            Habit::Again | Habit::Stale => {
                tokio::time::sleep(COOLDOWN + REPEAT_AFTER).await;
                id = self.send().await?;
                let stale = std::mem::replace(&mut code, self.read_code().await?);
                if self.habit == Habit::Stale {
                    self.check(&id, &stale).await?;
                }
            }
            Habit::Guessing => self.guess(&id, &other_than(&code)).await?,
        }
        self.check_last(&id, &code).await?;
        self.look(&id).await
    }

    /// Numbers are the sandbox's choice; each is given once.
    async fn take_a_phone(&mut self) -> Result<()> {
        let made = self.desk.control.post("/sandbox/api/phones", &json!({})).await?;
        let phone = made["phone"].as_str().context("a phone has a number")?;
        phone.clone_into(&mut self.visit.phone);
        Ok(())
    }

    async fn send(&mut self) -> Result<String> {
        let (phone, key) = (self.visit.phone.clone(), self.key());
        let answer = self.settled(Ask::Send { phone, key }).await?;
        let accepted = answer.id.filter(|_| answer.status == 202);
        let id = accepted.with_context(|| format!("no code was sent: {} {}", answer.status, answer.code))?;
        self.visit.id = Some(id.clone());
        Ok(id)
    }

    /// The code in the message that he has not read yet.
    async fn read_code(&mut self) -> Result<String> {
        let (desk, phone, seen) = (self.desk, &self.visit.phone, &self.seen);
        let found = until("the phone shows a new code", PATIENCE, || async {
            let shown = bubbles(&desk.control, phone).await?;
            let new = shown.into_iter().find(|bubble| !seen.contains(&bubble.whatsapp_id));
            Ok(new.and_then(|bubble| Some((bubble.whatsapp_id, bubble.code?))))
        })
        .await;
        let (message, code) = found?;
        self.seen.insert(message);
        self.desk.step(Step::Shown);
        self.pause().await;
        Ok(code)
    }

    async fn guess(&mut self, id: &str, wrong: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.check(id, wrong).await?.status != 410 {
            ensure!(Instant::now() < deadline, "wrong codes are taken for ever");
        }
        Ok(())
    }

    async fn check_last(&mut self, id: &str, code: &str) -> Result<()> {
        let key = self.key();
        self.visit.last = Some((code.to_owned(), key.clone()));
        let again = Ask::Check {
            id: id.to_owned(),
            code: code.to_owned(),
            key,
        };
        self.settled(again.clone()).await?;
        self.pause().await;
        if self.habit == Habit::Twice {
            self.check(id, code).await?;
            self.settled(again).await?;
        }
        Ok(())
    }

    async fn check(&mut self, id: &str, code: &str) -> Result<Answer> {
        let (id, code, key) = (id.to_owned(), code.to_owned(), self.key());
        let answer = self.settled(Ask::Check { id, code, key }).await?;
        self.pause().await;
        Ok(answer)
    }

    async fn look(&self, id: &str) -> Result<()> {
        self.settled(Ask::Look { id: id.to_owned() }).await.map(drop)
    }

    /// The answer, however often it takes to get one that is meant.
    async fn settled(&self, ask: Ask) -> Result<Answer> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.desk.ask(self.visit.visitor, &ask).await;
            if let Some(answer) = answer.filter(is_meant) {
                return Ok(answer);
            }
            ensure!(Instant::now() < deadline, "no answer to {ask:?}");
            tokio::time::sleep(REPEAT_AFTER).await;
        }
    }

    /// People take their time.
    async fn pause(&mut self) {
        let pause = self.rng.random_range(0..30);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("{}-{}", self.visit.visitor, self.keys)
    }
}

/// Whether it is no use to ask the same again at once.
fn is_meant(answer: &Answer) -> bool {
    let for_later = matches!(answer.code.as_str(), "session_unavailable" | "idempotency_in_progress");
    !for_later && answer.status != 429 && answer.status < 500
}
