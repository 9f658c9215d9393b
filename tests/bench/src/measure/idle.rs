//! (a) What linked sessions cost while nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use wharf_testkit::process::Sandbox;

use super::{Bench, tell};
use crate::commits::CommitCount;
use crate::gateway::{Gateway, Wharf, link_up_to};
use crate::report::figure::{Figure, Target, Unit};
use crate::report::{Row, Section};

/// A process is at rest when it uses less than this part of a core and its memory shrinks by less than this part.
const QUIET: f64 = 0.05;
const STEADY: f64 = 0.01;
/// How often it is looked at within the time that it has to be at rest.
const LOOKS: u32 = 3;
/// A process that never rests is measured as it is.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often the log is looked at, so that no pass of it is missed.
const LOOK: Duration = Duration::from_secs(1);

/// The targets of the issue hold for these numbers.
const TARGET_SLOPE: (usize, usize) = (100, 500);
const TARGET_SESSIONS: usize = 1000;

/// What one gateway needed.
struct Idle {
    /// Sessions, and resident memory with its proportional part.
    memory: Vec<(usize, Figure)>,
    /// `None` when it did not get as far, as what follows.
    slope: Option<Figure>,
    processor: Option<Figure>,
    /// Why not all sessions could be linked.
    gave_up: Option<String>,
}

pub async fn measure(bench: &Bench) -> Result<Section> {
    let sandbox = bench.start_sandbox().await?;
    let wharf = bench.start_wharf("idle", &sandbox.chat_url).await?;
    let mut commits = None;
    let ours = {
        let folder = bench.data("idle");
        let during = async || {
            commits = Some(count_commits(&wharf, &folder, bench.plan.idle_for).await?);
            Ok(())
        };
        idle(bench, &wharf, &sandbox, during).await?
    };
    wharf.stop().await?;
    if let Some(why) = &ours.gave_up {
        anyhow::bail!("{why}");
    }
    let mut baileys = bench.start_baileys("idle-baileys", &sandbox, &sandbox.chat_url).await?;
    let wait = async || {
        tokio::time::sleep(bench.plan.idle_for).await;
        Ok(())
    };
    let mut theirs = idle(bench, &baileys, &sandbox, wait).await?;
    if let Some(why) = &mut theirs.gave_up {
        // What it is beside is measured all the same.
        why.push_str(&format!(" Its process said: {}", baileys.last_words()));
        tell(why);
    } else {
        baileys.stop().await?;
    }
    sandbox.stop().await?;
    section(bench, &ours, &theirs, commits.context("nothing was counted")?)
}

async fn idle<G: Gateway>(
    bench: &Bench,
    gateway: &G,
    sandbox: &Sandbox,
    watch: impl AsyncFnOnce() -> Result<()>,
) -> Result<Idle> {
    let plan = &bench.plan;
    let (mut sessions, mut memory, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    let mut gave_up = None;
    for count in std::iter::once(0).chain(plan.idle.iter().copied()) {
        if let Err(error) = link_up_to(gateway, sandbox, &mut sessions, count).await {
            gave_up = Some(format!(
                "{} gave up with {} linked sessions: {error:#}.",
                G::NAME,
                sessions.len()
            ));
            break;
        }
        until_at_rest(gateway, plan.rest).await?;
        let usage = gateway.usage()?;
        tell(&format!(
            "(a) {}: {} MB with {count} sessions",
            G::NAME,
            usage.resident / 1_000_000
        ));
        resident.push((count, usage.resident as f64));
        let figure = Figure::pair(Unit::Bytes, usage.resident as f64, usage.proportional as f64);
        memory.push((count, figure));
    }
    let at = |wanted: usize| {
        resident
            .iter()
            .find(|(count, _)| *count == wanted)
            .map(|(_, bytes)| *bytes)
    };
    let (few, many) = plan.slope;
    let slope = at(few).zip(at(many));
    let slope = slope.map(|(low, high)| Figure::new(Unit::Bytes, (high - low) / (many - few) as f64));
    let processor = match gave_up {
        Some(_) => None,
        None => Some(processor_during(gateway, watch).await?),
    };
    Ok(Idle {
        memory,
        slope,
        processor,
        gave_up,
    })
}

/// What it uses of one core.
async fn processor_during<G: Gateway>(gateway: &G, watch: impl AsyncFnOnce() -> Result<()>) -> Result<Figure> {
    let (before, started) = (gateway.usage()?.cpu, Instant::now());
    watch().await?;
    let used = gateway.usage()?.cpu.saturating_sub(before);
    let percent = 100.0 * used.as_secs_f64() / started.elapsed().as_secs_f64();
    tell(&format!("(a) {}: {percent:.2} % of a core at rest", G::NAME));
    Ok(Figure::new(Unit::Percent, percent))
}

/// Waits until what follows a link has ended and what it left behind is given back.
async fn until_at_rest<G: Gateway>(gateway: &G, time: Duration) -> Result<()> {
    let (started, window) = (Instant::now(), time / LOOKS);
    let mut restful = 0;
    while restful < LOOKS && started.elapsed() < PATIENCE {
        gateway.tidy().await?;
        let before = gateway.usage()?;
        tokio::time::sleep(window).await;
        let after = gateway.usage()?;
        let used = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let quiet = used < QUIET * window.as_secs_f64();
        let steady = after.resident as f64 > before.resident as f64 * (1.0 - STEADY);
        restful = if quiet && steady { restful + 1 } else { 0 };
    }
    Ok(())
}

/// Commits a second: counted in SQLite's own log, and beside it by Wharf's metric where it has one.
async fn count_commits(wharf: &Wharf, folder: &std::path::Path, time: Duration) -> Result<(f64, Option<f64>)> {
    let told = committed(wharf).await?;
    let mut count = CommitCount::from_now(folder)?;
    let started = Instant::now();
    while started.elapsed() < time {
        tokio::time::sleep(LOOK).await;
        count.look()?;
    }
    let seconds = started.elapsed().as_secs_f64();
    tell(&format!(
        "(a) Wharf: {:.2} commits a second at rest",
        count.commits() as f64 / seconds
    ));
    let metric = match (told, committed(wharf).await?) {
        (Some(before), Some(after)) => Some((after - before) / seconds),
        _ => None,
    };
    Ok((count.commits() as f64 / seconds, metric))
}

async fn committed(wharf: &Wharf) -> Result<Option<f64>> {
    let metrics = wharf.process().api().text("/metrics").await?;
    let mut values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("wharf_storage_commits_total"));
    let value = values.find_map(|rest| rest.rsplit(' ').next());
    Ok(value.map(str::parse).transpose()?)
}

fn section(bench: &Bench, ours: &Idle, theirs: &Idle, (commits, metric): (f64, Option<f64>)) -> Result<Section> {
    let plan = &bench.plan;
    let most = plan.idle.last().copied().context("no numbers of sessions")?;
    let mut rows = Vec::new();
    for (place, (count, ours)) in ours.memory.iter().enumerate() {
        let beside = theirs.memory.get(place).map(|(_, figure)| figure.clone());
        let target = (*count == 0).then_some(Target::AtMost(Unit::Bytes, 40e6));
        let what = format!("resident memory, {count} sessions (RSS / PSS)");
        rows.push(Row::wharf(what, ours.clone()).beside(beside).target(target));
    }
    let (few, many) = plan.slope;
    let full = (plan.slope == TARGET_SLOPE).then_some(Target::AtMost(Unit::Bytes, 0.3e6));
    let slope = format!("each further session between {few} and {many}");
    rows.push(
        Row::wharf(slope, ours.slope.clone().context("not measured")?)
            .beside(theirs.slope.clone())
            .target(full),
    );
    let whole = most == TARGET_SESSIONS;
    let processor = format!("processor, {most} idle sessions");
    rows.push(
        Row::wharf(processor, ours.processor.clone().context("not measured")?)
            .beside(theirs.processor.clone())
            .target(whole.then_some(Target::AtMost(Unit::Percent, 2.0))),
    );
    rows.push(
        Row::wharf(
            format!("commits, {most} idle sessions"),
            Figure::new(Unit::PerSecond, commits),
        )
        .target(whole.then_some(Target::AtMost(Unit::PerSecond, 20.0))),
    );
    if let Some(metric) = metric {
        rows.push(Row::wharf(
            "the same by Wharf's own metric",
            Figure::new(Unit::PerSecond, metric),
        ));
    }
    Ok(Section {
        title: "(a) Idle sessions",
        method: format!(
            "Resident memory of the gateway's process with linked sessions, once it has used less than {:.0} % of a core \
             and its memory has not shrunk for {} s (Node is told to collect its garbage meanwhile; by itself it keeps \
             it while nothing happens); then {} s of watching. Commits are counted in SQLite's write-ahead log. MB are \
             10⁶ bytes. {}",
            QUIET * 100.0,
            plan.rest.as_secs(),
            plan.idle_for.as_secs(),
            theirs.gave_up.as_deref().unwrap_or_default()
        ),
        rows,
        uses: Vec::new(),
    })
}
