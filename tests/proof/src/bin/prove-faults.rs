//! `prove-faults`: breaks the network, the database, the disk and the clock under a running Wharf, one after the other,
//! with the same load and the same judgement as `prove-kill`. Exit code 0 when every invariant holds in every scenario,
//! `/readyz` said what it had to in time, and everything came back without a restart; 1 otherwise.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use wharf_proof::check;
use wharf_proof::faults::{Judged, Scenario, play, scenarios};
use wharf_proof::options::{Options, Place};

const PROGRAM: &str = "prove-faults";

/// Breaks everything around Wharf and shows that nothing was lost.
#[derive(Debug, Parser)]
#[command(name = PROGRAM)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Fewer scenarios, each shorter
    #[arg(long)]
    short: bool,
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{PROGRAM}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<bool> {
    let Options {
        seed, dialect, keep, ..
    } = &arguments.options;
    let place = Place::new(keep.as_deref(), &format!("{PROGRAM}-{}-{seed}", dialect.as_str()))?;
    let window = Duration::from_secs(if arguments.short { 3 } else { 6 });
    let mut chosen = scenarios(*dialect, arguments.short);
    if let Some(text) = &arguments.only {
        chosen.retain(|scenario| scenario.name.contains(text.as_str()));
    }
    let started = Instant::now();
    let mut lines = Vec::new();
    let mut good = !chosen.is_empty();
    for (number, scenario) in chosen.iter().enumerate() {
        let folder = place.folder().join(format!("{:02}", number + 1));
        let played = play_one(arguments, scenario, &folder, window).await;
        good &= matches!(&played, Ok(judged) if judged.is_good());
        let line = line_of(scenario, &played);
        writeln!(std::io::stdout(), "{line}")?;
        lines.push(line);
    }
    summary(arguments, &lines, started.elapsed(), good)?;
    if !good || keep.is_some() {
        writeln!(std::io::stdout(), "The recordings are in {}", place.keep().display())?;
    }
    Ok(good)
}

async fn play_one(arguments: &Arguments, scenario: &Scenario, folder: &Path, window: Duration) -> Result<Judged> {
    let options = arguments.options.stage(PROGRAM, folder);
    std::fs::create_dir_all(folder)?;
    play(scenario, &options, window).await
}

fn line_of(scenario: &Scenario, played: &Result<Judged>) -> String {
    let name = scenario.name;
    let judged = match played {
        Ok(judged) => judged,
        Err(error) => return format!("FAILED {name}: {error:#}"),
    };
    let counts = check::counts(&judged.recording);
    let fired: u64 = judged.recording.faults.iter().map(|fault| fault.fired).sum();
    let noticed = judged
        .noticed_after
        .map_or("-".to_owned(), |after| format!("{after} ms"));
    let mut line = format!(
        "{} {name:<46} {:>5.1} s  accepted {:>5}, refused {:>4}, on the wire {:>5}, inbound {:>4}, fired {fired:>4}, noticed {noticed:>8}, back {:>6} ms",
        if judged.is_good() { "ok    " } else { "FAILED" },
        judged.took.as_secs_f64(),
        counts.accepted,
        counts.refused,
        counts.wire,
        counts.inbound,
        judged.back_after,
    );
    for failure in &judged.failures {
        line.push_str(&format!("\n         {failure}"));
    }
    if !judged.report.is_clean() {
        line.push_str(&format!("\n{}", judged.report));
    }
    line
}

fn summary(arguments: &Arguments, lines: &[String], took: Duration, good: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let bad = lines.iter().filter(|line| line.starts_with("FAILED")).count();
    let Options { seed, dialect, .. } = &arguments.options;
    writeln!(
        out,
        "{PROGRAM} on {}, seed {seed}, {:.1} s: {} scenarios, {bad} failed",
        dialect.as_str(),
        took.as_secs_f64(),
        lines.len()
    )?;
    writeln!(out, "{}", if good { "PASSED" } else { "FAILED" })?;
    Ok(())
}
