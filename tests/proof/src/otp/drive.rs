//! The lives of a run: visitors come and go, and the process is killed under them, again and again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wharf_testkit::process::{Sandbox, Wharf, WharfOptions};

use super::book::Book;
use super::desk::{Desk, Steps};
use super::finish::finish;
use super::moment::Plan;
use super::record::{About, Floors, Kill, Record};
use super::visit::{self, COOLDOWN};
use crate::drive::{Database, Progress, StageOptions, now, start_sandbox, wharf_options};

/// Visitors who are there at the same time.
pub(super) const LANES: usize = 8;
/// Codes go through any of them.
const SESSIONS: usize = 2;
/// How long a life may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many codes may be tried; the default, which the judge has to know.
const ATTEMPTS: u32 = 5;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// How often the process is killed.
    pub kills: usize,
    /// How many visitors leave between two kills, but for the kills that come soon after a start.
    pub visits: usize,
}

impl Lives {
    /// What a record of them has to show. Little of what is left to chance, and nothing of it in a short run.
    fn floors(self) -> Floors {
        let Self { kills, visits } = self;
        let (leaving, rarely) = (kills * visits / 4, kills / 25);
        Floors {
            kills,
            approved: leaving / 2,
            resent: leaving / 8,
            wrong: leaving / 4,
            lost: kills / 10,
            on_the_way: rarely,
            untyped: rarely,
        }
    }
}

/// Everything that does not end with a life.
#[derive(Debug)]
pub(super) struct Stage {
    pub sandbox: Sandbox,
    /// Dropping it ends the server.
    pub _database: Database,
    pub wharf: WharfOptions,
    pub sessions: Vec<String>,
}

/// Plays a run, and returns what was seen of it.
///
/// # Errors
/// One of the programs does not do what it should, or the record is not whole. What Wharf answers and sends is no error
/// here, whatever it is.
pub async fn drive(options: &StageOptions, lives: Lives, progress: &mut Progress) -> Result<Record> {
    let about = About {
        seed: options.seed,
        dialect: options.dialect.as_str().to_owned(),
        attempts: ATTEMPTS,
        floors: lives.floors(),
    };
    let book = Book::new(&options.folder, about)?;
    let (stage, first) = Stage::set(options).await?;
    let desk = Arc::new(Desk::new(book, stage.sandbox.control().clone()));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        lanes.spawn(visit::lane(Arc::clone(&desk), options.seed));
    }
    let mut waiting = Some(first);
    let plans = Plan::all(options.seed, lives.kills);
    for (number, plan) in plans.iter().enumerate() {
        let left = desk.steps().borrow().left;
        progress.say(&format!("kill {} of {}  visitors {left}", number + 1, plans.len()));
        let wharf = match waiting.take() {
            Some(first) => first,
            None => stage.start_again(plan, &desk).await?,
        };
        live(&desk, wharf, plan, lives.visits).await?;
    }
    let wharf = Wharf::start(&stage.wharf).await?;
    progress.say("waiting for the rest");
    finish(stage, wharf, &desk, lanes).await
}

/// One process, until it is killed.
async fn live(desk: &Desk, wharf: Wharf, plan: &Plan, visits: usize) -> Result<()> {
    let mut steps = desk.steps();
    desk.open(wharf.api().clone());
    if let Some(surplus) = plan.surplus {
        let enough = steps.borrow().left + visits + surplus;
        reached(&mut steps, |steps| steps.left >= enough).await?;
    }
    let before = steps.borrow().of(plan.step);
    reached(&mut steps, |steps| steps.of(plan.step) > before).await?;
    // Not even a sleep of nothing is over at once.
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    desk.close();
    wharf.kill().await.context("the process cannot be killed")
}

async fn reached(steps: &mut watch::Receiver<Steps>, there: impl FnMut(&Steps) -> bool) -> Result<()> {
    let waited = tokio::time::timeout(PATIENCE, steps.wait_for(there)).await;
    let reached = waited.with_context(|| format!("the visitors came no further within {PATIENCE:?}"))?;
    reached.map(drop).context("the desk is gone")
}

impl Stage {
    /// Sets it: sessions are linked, and nobody has asked for a code.
    async fn set(options: &StageOptions) -> Result<(Self, Wharf)> {
        let mut options = options.clone();
        // What the command line says comes later, and wins.
        let said = std::mem::replace(&mut options.environment, settings());
        options.environment.extend(said);
        let sandbox = start_sandbox(&options).await?;
        let database = Database::start(options.dialect)?;
        let mut wharf = wharf_options(&options, &sandbox, &database);
        let first = Wharf::start(&wharf).await?;
        wharf.api_key = Some(first.api_key.clone());
        let mut sessions = Vec::new();
        for number in 1..=SESSIONS {
            let phone = sandbox.create_phone(&format!("Account {number}")).await?;
            let session = first.create_session(&format!("session {number}")).await?;
            first.link(&session, &sandbox, &phone).await?;
            sessions.push(session);
        }
        let stage = Self {
            sandbox,
            _database: database,
            wharf,
            sessions,
        };
        Ok((stage, first))
    }

    /// The next process; before it one that does not come so far, where the plan has one.
    async fn start_again(&self, plan: &Plan, desk: &Desk) -> Result<Wharf> {
        if let Some(after) = plan.early_kill {
            let mut program = self.wharf.spawn()?;
            tokio::time::sleep(after).await;
            let at = now();
            program.kill().await?;
            desk.book.kill(Kill { at, during_start: true });
        }
        Ok(Wharf::start(&self.wharf).await?)
    }
}

/// No limit but those on one verification.
fn settings() -> Vec<(String, String)> {
    let cooldown = format!("{}s", COOLDOWN.as_secs());
    let attempts = ATTEMPTS.to_string();
    let settings = [
        ("WHARF_OTP__TTL", "10m"),
        ("WHARF_OTP__COOLDOWN", &cooldown),
        ("WHARF_OTP__ATTEMPTS", &attempts),
        ("WHARF_OTP__PER_PHONE_HOURLY", "0"),
        ("WHARF_OTP__PER_PHONE_DAILY", "0"),
        ("WHARF_OTP__PER_PREFIX_HOURLY", "0"),
        ("WHARF_OTP__GUARD_AFTER", "0"),
    ];
    settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}
