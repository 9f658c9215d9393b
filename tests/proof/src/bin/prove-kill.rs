//! `prove-kill`: SIGKILL, again and again, while messages go out and come in; then everything that anybody saw is
//! compared. Exit code 0 when every invariant holds and the checker catches every mutation, 1 otherwise.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio::time::Instant;
use wharf_proof::drive::{Follower, Load, Moment, Pace, Plan, Progress, Stage, all_ready, finish, now, settle};
use wharf_proof::options::{Options, Place};
use wharf_proof::recording::{Floors, Life, LifeEnd, Recording};
use wharf_proof::{check, mutate, summary};
use wharf_testkit::process::Wharf;

const PROGRAM: &str = "prove-kill";
const CALLERS: usize = 8;
/// How long a life may take to accept what it has to.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Kills Wharf and shows that nothing was lost.
#[derive(Debug, Parser)]
#[command(name = PROGRAM)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// How often it is killed
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// How many messages are accepted between two kills, at least
    #[arg(long, default_value_t = 200)]
    messages: usize,
}

/// How often chance is asked at the most.
const TRIES: usize = 3;
/// Fewer kills than this leave something to chance.
const FEW: usize = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match prove(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{PROGRAM}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A few kills may all miss the moment between the wire and its ack: chance is asked again, with the next seed.
async fn prove(mut arguments: Arguments) -> Result<bool> {
    for _ in 1..TRIES {
        match run(&arguments).await? {
            End::Missed => {
                writeln!(
                    std::io::stdout(),
                    "These kills met no message before its ack; the next seed is tried"
                )?;
                arguments.options.seed = arguments.options.seed.wrapping_add(1);
            }
            end => return Ok(end == End::Good),
        }
    }
    Ok(run(&arguments).await? == End::Good)
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    Bad,
    /// Everything holds, but too few messages had to be sent again.
    Missed,
}

async fn run(arguments: &Arguments) -> Result<End> {
    let Options {
        seed, dialect, keep, ..
    } = &arguments.options;
    let place = Place::new(keep.as_deref(), &format!("{PROGRAM}-{}-{seed}", dialect.as_str()))?;
    let mut progress = Progress::default();
    let recorded = record(arguments, &place, &mut progress).await;
    progress.done();
    let mut recording = match recorded {
        Ok(recording) => recording,
        Err(error) => {
            let folder = place.keep();
            return Err(error.context(format!("the run broke off; what it left is in {}", folder.display())));
        }
    };
    let report = check(&recording);
    let shown = if report.is_clean() {
        mutate::show(&recording)
    } else {
        Vec::new()
    };
    summary::print(&recording, &report, &shown, progress.elapsed())?;
    let good = report.is_clean() && shown.iter().all(mutate::Shown::is_caught);
    if !good || keep.is_some() {
        writeln!(std::io::stdout(), "The recording is in {}", place.keep().display())?;
    }
    recording.about.floors.sent_again = 0;
    Ok(match (good, check(&recording).is_clean()) {
        (true, _) => End::Good,
        (false, true) if !report.is_clean() && arguments.kills < FEW => End::Missed,
        (false, _) => End::Bad,
    })
}

fn floors(arguments: &Arguments) -> Floors {
    let (kills, messages) = (arguments.kills, arguments.messages);
    let accepted = kills * messages;
    Floors {
        kills,
        accepted_per_life: messages,
        accepted,
        inbound: kills * 10,
        decrypted: accepted,
        peer_copies: accepted / 20,
        delivered: accepted / 4,
        read: kills,
        unknown: kills / 10,
        sent_again: kills / 5,
        faults: 0,
    }
}

async fn record(arguments: &Arguments, place: &Place, progress: &mut Progress) -> Result<Recording> {
    let options = arguments.options.stage(PROGRAM, place.folder());
    let mut started = (now(), Instant::now());
    let (mut stage, first, mut cursor) = Stage::set(&options, floors(arguments)).await?;
    let mut wharf = Some(first);
    let plans = Plan::all(arguments.options.seed, arguments.kills);
    for (number, plan) in plans.iter().enumerate() {
        let step = format!("kill {} of {}", number + 1, plans.len());
        progress.show(&step, &stage.recorder);
        let running = match wharf.take() {
            Some(wharf) => wharf,
            None => {
                start_early(&stage, plan).await?;
                started = (now(), Instant::now());
                Wharf::start(&stage.wharf).await?
            }
        };
        let life = Living {
            stage: &stage,
            plan,
            messages: arguments.messages,
            seed: arguments.options.seed.wrapping_mul(1000).wrapping_add(number as u64),
            started,
            is_first: number == 0,
        };
        cursor = life.until_killed(running, cursor).await?;
        stage.recorder.healthy()?;
    }
    let started = (now(), Instant::now());
    let wharf = Wharf::start(&stage.wharf).await?;
    let follower = Follower::start(wharf.api().clone(), std::sync::Arc::clone(&stage.recorder), cursor);
    let callers = stage.callers(&wharf, arguments.options.seed, CALLERS);
    settle(&mut stage, &wharf, &callers, progress).await?;
    drop(callers);
    finish(stage, wharf, follower, started.0, progress).await
}

/// A start that is over before it is done.
async fn start_early(stage: &Stage, plan: &Plan) -> Result<()> {
    let Some(after) = plan.early_kill else {
        return Ok(());
    };
    let started = now();
    let mut program = stage.wharf.spawn()?;
    tokio::time::sleep(after).await;
    let ended = now();
    program.kill().await?;
    stage.recorder.life(Life {
        started,
        ended,
        end: LifeEnd::EarlyKill,
        moment: "starting".to_owned(),
        accepted: 0,
        ready_after: None,
    });
    Ok(())
}

/// One process, from its start to its kill.
struct Living<'a> {
    stage: &'a Stage,
    plan: &'a Plan,
    messages: usize,
    seed: u64,
    started: (u64, Instant),
    is_first: bool,
}

impl Living<'_> {
    async fn until_killed(&self, wharf: Wharf, cursor: Option<String>) -> Result<Option<String>> {
        let recorder = &self.stage.recorder;
        let follower = Follower::start(wharf.api().clone(), std::sync::Arc::clone(recorder), cursor);
        let mut ready_after = None;
        if self.plan.moment != Moment::Reconnecting {
            let after = all_ready(&wharf, &self.stage.sessions, self.started.1).await?;
            // The first life linked its sessions, which is no restart.
            ready_after = (!self.is_first).then_some(after);
        }
        let load = Load::start(&self.stage.callers(&wharf, self.seed, CALLERS), Pace::default());
        self.accepted(&load).await?;
        self.moment(&load).await;
        let ended = now();
        wharf.kill().await.context("the process cannot be killed")?;
        self.stage.visit_every(None);
        let accepted = load.finish().await;
        recorder.life(Life {
            started: self.started.0,
            ended,
            end: LifeEnd::Kill,
            moment: self.plan.moment.to_string(),
            accepted,
            ready_after,
        });
        follower.stop().await
    }

    async fn accepted(&self, load: &Load) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while load.accepted() < self.messages + self.plan.surplus {
            ensure!(
                Instant::now() < deadline,
                "only {} messages were accepted within {PATIENCE:?}",
                load.accepted()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn moment(&self, load: &Load) {
        match self.plan.moment {
            Moment::Sending | Moment::Reconnecting => {}
            Moment::Settled => load.pace().slow_down(Duration::from_millis(100)),
            Moment::Arriving => {
                load.pace().slow_down(Duration::from_millis(50));
                self.stage.visit_every(Some(Duration::from_millis(1)));
            }
        }
        tokio::time::sleep(self.plan.delay).await;
    }
}
