//! `prove-check DIR`: judges a recording that was kept. Exit code 0 when every invariant holds, 1 otherwise.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use wharf_proof::{check, mutate, recording, summary};

/// Judges a recording that was kept.
#[derive(Debug, Parser)]
#[command(name = "prove-check")]
struct Arguments {
    /// The folder of the recording
    recording: PathBuf,
    /// Break it in every way as well
    #[arg(long)]
    mutate: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "prove-check: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let started = Instant::now();
    let recording = recording::read(&arguments.recording)?;
    let report = check(&recording);
    let shown = if arguments.mutate {
        mutate::show(&recording)
    } else {
        Vec::new()
    };
    summary::print(&recording, &report, &shown, started.elapsed())?;
    Ok(report.is_clean() && shown.iter().all(mutate::Shown::is_caught))
}
