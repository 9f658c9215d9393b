//! `make bench`: what Wharf needs and does, beside the least that a gateway on Baileys is.
//!
//! Owns the measurements (a) to (f), the load and the page `docs/benchmarks.md`. Everything that is measured runs in a
//! process of its own. Never states a number that it did not measure in the same run.

mod commits;
mod delay;
mod gateway;
mod load;
mod machine;
mod measure;
mod plan;
mod processor;
mod report;
mod stanzas;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use measure::{Bench, accept, idle, linking, otp, restart, send, tell};
use plan::Plan;
use report::{Report, Section};
use tokio::signal::unix::{SignalKind, signal};

/// The text of every message.
const TEXT: &str = "Your table for two is ready at eight; reply here if you need another time.";

/// Measures Wharf beside a minimal Baileys gateway.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// The `wharf` binary, built optimised with its feature `sandbox`.
    #[arg(long)]
    wharf: PathBuf,
    /// The `wharf-sandbox` binary.
    #[arg(long)]
    sandbox: PathBuf,
    /// The folder of the Baileys programs, with `npm ci` done in it.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../baileys"))]
    baileys: PathBuf,
    /// The example `timing` of wharf-otp, built optimised; without it one row is missing.
    #[arg(long)]
    timing: Option<PathBuf>,
    /// Which measurements; without it all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Measurement>,
    /// Small numbers: to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// Where the page goes.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// Idle sessions.
    A,
    /// Linking.
    B,
    /// Accepting.
    C,
    /// Sending.
    D,
    /// Restart.
    E,
    /// One-time passwords.
    F,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        // What was started is killed when its value is dropped, so a stop has to come as an error and not as an end.
        tokio::select! {
            done = run(&arguments) => done,
            stopped = stop() => stopped,
        }
    })
}

async fn stop() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    bail!("stopped")
}

/// Prints what was measured, also when a later measurement failed; the page is written of a whole run only.
async fn run(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("wharf-bench-").tempdir()?;
    let bench = bench(arguments, folder.path())?;
    let mut report = Report {
        machine: machine::describe(&bench.wharf, &bench.folder)?,
        sections: Vec::new(),
    };
    let outcome = measure_all(&bench, &arguments.only, &mut report).await;
    std::io::stdout().write_all(report::text(&report).as_bytes())?;
    outcome?;
    if let Some(out) = &arguments.out {
        std::fs::write(out, report::page(&report)).with_context(|| format!("cannot write {}", out.display()))?;
    }
    Ok(())
}

/// One that fails does not keep the others from being measured.
async fn measure_all(bench: &Bench, only: &[Measurement], report: &mut Report) -> Result<()> {
    let mut failed = None;
    for measurement in Measurement::value_variants() {
        if only.is_empty() || only.contains(measurement) {
            let section = section(bench, *measurement).await;
            match section.with_context(|| format!("measurement {measurement:?}")) {
                Ok(section) => report.sections.push(section),
                Err(error) => {
                    tell(&format!("{error:#}"));
                    failed.get_or_insert(error);
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn bench(arguments: &Arguments, folder: &Path) -> Result<Bench> {
    let existing = |path: &Path| path.canonicalize().with_context(|| format!("no {}", path.display()));
    Ok(Bench {
        wharf: existing(&arguments.wharf)?,
        sandbox: existing(&arguments.sandbox)?,
        baileys: existing(&arguments.baileys)?,
        timing: arguments.timing.as_deref().map(existing).transpose()?,
        folder: folder.to_owned(),
        plan: if arguments.quick { Plan::quick() } else { Plan::full() },
    })
}

async fn section(bench: &Bench, measurement: Measurement) -> Result<Section> {
    match measurement {
        Measurement::A => idle::measure(bench).await,
        Measurement::B => linking::measure(bench).await,
        Measurement::C => accept::measure(bench).await,
        Measurement::D => send::measure(bench).await,
        Measurement::E => restart::measure(bench).await,
        Measurement::F => otp::measure(bench).await,
    }
}
