//! One scenario: the same load before, while and after something is broken, and the same judgement.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::time::Instant;
use wharf_testkit::process::Wharf;

use super::clock::fake_clock;
use super::disk::{read_only_switch, small_disk};
use super::network::Rule;
use super::scenario::{Fault, Scenario};
use crate::check::{Report, check};
use crate::drive::{Dialect, Follower, Load, Pace, Progress, Stage, StageOptions, finish, now, settle};
use crate::recording::{FaultLine, Floors, Recording};

const CALLERS: usize = 4;
/// How long each caller pauses: enough load for every fault to meet some, little enough to be worked off.
const GAP: Duration = Duration::from_millis(25);
/// How long everything works before and after.
const GOOD_TIME: Duration = Duration::from_secs(2);
/// How soon enough is accepted to judge by, good time or not.
const ENOUGH_WITHIN: Duration = Duration::from_secs(60);
/// How soon `/readyz` has to say no.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);
/// How soon it has to say yes again.
const BACK_WITHIN: Duration = Duration::from_secs(15);
/// How soon sessions have to be back: a half-open socket is noticed by its silence.
const SESSIONS_BACK_WITHIN: Duration = Duration::from_secs(150);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// An unacknowledged message is sent again after so long; the default would make runs long.
const ACK_TIMEOUT: &str = "3s";

/// A scenario that was played.
#[derive(Debug)]
pub struct Judged {
    /// What was recorded.
    pub recording: Recording,
    /// What the checker says.
    pub report: Report,
    /// What was not as it should be while it was broken and right after.
    pub failures: Vec<String>,
    /// Milliseconds until `/readyz` said no, where it had to.
    pub noticed_after: Option<u64>,
    /// Milliseconds until everything was back.
    pub back_after: u64,
    /// How long it took.
    pub took: Duration,
}

impl Judged {
    /// Whether everything holds.
    pub const fn is_good(&self) -> bool {
        self.report.is_clean() && self.failures.is_empty()
    }
}

/// Something that is broken.
pub(super) struct Began {
    what: &'static str,
    at: u64,
    since: Instant,
}

pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) seed: u64,
    pub(super) window: Duration,
    pub(super) read_only_flag: Option<PathBuf>,
    pub(super) clock: Option<PathBuf>,
    wharf: Option<Wharf>,
    failures: Vec<String>,
    noticed_after: Option<u64>,
    back_after: u64,
    progress: Progress,
    name: &'static str,
}

/// Plays a scenario.
///
/// # Errors
/// Something cannot be broken here, or a program does not do what it should.
pub async fn play(scenario: &Scenario, options: &StageOptions, window: Duration) -> Result<Judged> {
    let started = Instant::now();
    let mut options = options.clone();
    options
        .environment
        .push(("WHARF_SESSION__ACK_TIMEOUT".to_owned(), ACK_TIMEOUT.to_owned()));
    let prepared = prepare(scenario, &mut options)?;
    let life_started = now();
    let (stage, wharf, cursor) = Stage::set(&options, floors()).await?;
    let follower = Follower::start(wharf.api().clone(), std::sync::Arc::clone(&stage.recorder), cursor);
    let mut scene = Scene {
        stage,
        seed: options.seed,
        window,
        read_only_flag: prepared.read_only_flag,
        clock: prepared.clock,
        wharf: Some(wharf),
        failures: Vec::new(),
        noticed_after: None,
        back_after: 0,
        progress: Progress::default(),
        name: scenario.name,
    };
    scene.act(&scenario.breaks.0).await?;
    let Scene {
        mut stage,
        wharf,
        mut failures,
        noticed_after,
        back_after,
        mut progress,
        seed,
        ..
    } = scene;
    let mut wharf = wharf.context("the process is gone")?;
    if let Some(end) = wharf.program().end() {
        failures.push(format!("the process did not survive: {end}"));
    }
    let callers = stage.callers(&wharf, seed, CALLERS);
    settle(&mut stage, &wharf, &callers, &mut progress).await?;
    drop(callers);
    let recording = finish(stage, wharf, follower, life_started, &mut progress).await?;
    Ok(Judged {
        report: check(&recording),
        recording,
        failures,
        noticed_after,
        back_after,
        took: started.elapsed(),
    })
}

#[derive(Default)]
struct Prepared {
    read_only_flag: Option<PathBuf>,
    clock: Option<PathBuf>,
}

/// What has to be there when Wharf starts.
fn prepare(scenario: &Scenario, options: &mut StageOptions) -> Result<Prepared> {
    let mut prepared = Prepared::default();
    let folder: &Path = &options.folder;
    match (&scenario.breaks.0, options.dialect) {
        (Fault::FullDisk, Dialect::Sqlite) => {
            let dir = folder.join("small-disk");
            options.prefix = small_disk(&dir)?;
            options.data_dir = Some(dir);
        }
        (Fault::ReadOnlyDisk, Dialect::Sqlite) => {
            let switch = read_only_switch(folder)?;
            options.environment.extend(switch.environment);
            prepared.read_only_flag = Some(switch.flag);
        }
        (Fault::ClockJumps { from, .. }, _) => {
            let clock = fake_clock(folder, *from)?;
            options.environment.extend(clock.environment);
            prepared.clock = Some(clock.file);
        }
        _ => {}
    }
    Ok(prepared)
}

fn floors() -> Floors {
    Floors {
        accepted: 300,
        inbound: 50,
        decrypted: 600,
        peer_copies: 20,
        delivered: 200,
        read: 20,
        faults: 1,
        ..Floors::default()
    }
}

impl Scene {
    async fn act(&mut self, fault: &Fault) -> Result<()> {
        let load = Load::start(
            &self.stage.callers(self.wharf()?, self.seed, CALLERS),
            Pace::with_gap(GAP),
        );
        self.work_for(GOOD_TIME).await?;
        match fault {
            Fault::Network(rules) => {
                self.break_the_network(rules).await?;
                if self.back_after == 0 {
                    let mended = self.begin("the network is broken");
                    self.all_back(&mended).await?;
                }
            }
            Fault::Losses(rules) => {
                self.break_the_network(rules).await?;
                self.break_the_network(&[Rule::now(&json!({ "type": "drop_connection" }))])
                    .await?;
            }
            Fault::DatabaseStops => self.stop_the_database().await?,
            Fault::DatabaseCrashes => self.crash_the_database().await?,
            Fault::FullDisk => self.fill_the_disk().await?,
            Fault::ReadOnlyDisk => self.forbid_writing().await?,
            Fault::ClockJumps { to, .. } => self.move_the_clock(*to).await?,
        }
        let before = load.accepted();
        self.work_for(GOOD_TIME).await?;
        if load.accepted() == before {
            self.failures.push("nothing was accepted after it was over".to_owned());
        }
        self.work_until_enough(&load).await?;
        load.finish().await;
        Ok(())
    }

    /// A slow machine takes longer until the recording proves something.
    async fn work_until_enough(&mut self, load: &Load) -> Result<()> {
        let until = Instant::now() + ENOUGH_WITHIN;
        while load.accepted() < floors().accepted && Instant::now() < until {
            self.work_for(LOOK_AGAIN).await?;
        }
        Ok(())
    }

    pub(super) fn wharf(&self) -> Result<&Wharf> {
        self.wharf.as_ref().context("the process is gone")
    }

    /// The load goes on for so long.
    pub(super) async fn work_for(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.progress.show(self.name, &self.stage.recorder);
            self.stage.recorder.healthy()?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Now: just before something is broken, or mended.
    pub(super) fn begin(&self, what: &'static str) -> Began {
        Began {
            what,
            at: now(),
            since: Instant::now(),
        }
    }

    /// `/readyz` has to say no soon.
    pub(super) async fn not_ready(&mut self, began: &Began) -> Result<()> {
        loop {
            let said_no = matches!(self.wharf()?.is_ready().await, Ok(false));
            let after = began.since.elapsed();
            if said_no {
                self.noticed_after = Some(millis(after));
                return Ok(());
            }
            if after > NOTICED_WITHIN {
                self.failures.push(format!(
                    "/readyz still said yes after {NOTICED_WITHIN:?}: {}",
                    began.what
                ));
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// It is mended: everything has to come back by itself.
    pub(super) async fn end(&mut self, began: Began) -> Result<()> {
        let mended = self.begin(began.what);
        self.stage.recorder.fault(FaultLine {
            what: began.what.to_owned(),
            from: began.at,
            until: mended.at,
            refuses_logins: false,
            fired: 1,
        });
        while !matches!(self.wharf()?.is_ready().await, Ok(true)) {
            if mended.since.elapsed() > BACK_WITHIN {
                self.failures.push(format!(
                    "/readyz said no for {BACK_WITHIN:?} after it was over: {}",
                    began.what
                ));
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.all_back(&mended).await
    }

    /// How often each session logged in.
    pub(super) fn logins(&self) -> Vec<usize> {
        let sessions = self.stage.sessions.iter();
        sessions
            .map(|session| self.stage.recorder.logins(&session.device.phone))
            .collect()
    }

    /// Every session has noticed, and come back on a new connection.
    pub(super) async fn logged_in_again(&mut self, before: &[usize], began: &Began) -> Result<()> {
        while self.logins().iter().zip(before).any(|(now, before)| now <= before) {
            if began.since.elapsed() > SESSIONS_BACK_WITHIN {
                self.failures.push(format!(
                    "a session did not log in within {SESSIONS_BACK_WITHIN:?}: {}",
                    began.what
                ));
                break;
            }
            self.work_for(LOOK_AGAIN).await?;
        }
        self.all_back(began).await
    }

    async fn all_back(&mut self, mended: &Began) -> Result<()> {
        let sessions: Vec<String> = self.stage.sessions.iter().map(|session| session.id.clone()).collect();
        for session in sessions {
            let left = SESSIONS_BACK_WITHIN.saturating_sub(mended.since.elapsed());
            if let Err(error) = self.wharf()?.ready(&session, left).await {
                self.failures.push(format!("a session did not come back: {error}"));
            }
        }
        self.back_after = millis(mended.since.elapsed());
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
