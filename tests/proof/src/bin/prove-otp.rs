//! `prove-otp`: SIGKILL, again and again, between the steps of one-time passwords; then everything that visitors were answered
//! and shown is compared. Exit code 0 when every invariant holds and the checker catches every mutation, 1 otherwise.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use wharf_proof::drive::Progress;
use wharf_proof::mutate::Shown;
use wharf_proof::options::{Options, Place};
use wharf_proof::otp::{self, Lives};

const PROGRAM: &str = "prove-otp";

/// Kills Wharf while people log in by codes.
#[derive(Debug, Parser)]
#[command(name = PROGRAM)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// How often it is killed
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// How many visitors are done between two kills, at least, but for kills soon after a start
    #[arg(long, default_value_t = 10)]
    visits: usize,
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
    let stage = arguments.options.stage(PROGRAM, place.folder());
    let lives = Lives {
        kills: arguments.kills,
        visits: arguments.visits,
    };
    let mut progress = Progress::default();
    let driven = otp::drive(&stage, lives, &mut progress).await;
    progress.done();
    let record = match driven {
        Ok(record) => record,
        Err(error) => {
            let folder = place.keep();
            return Err(error.context(format!("the run broke off; what it left is in {}", folder.display())));
        }
    };
    let report = otp::check(&record);
    let shown = if report.is_clean() {
        otp::mutate::show(&record)
    } else {
        Vec::new()
    };
    otp::print(&record, &report, &shown, progress.elapsed())?;
    let good = report.is_clean() && shown.iter().all(Shown::is_caught);
    if !good || keep.is_some() {
        writeln!(std::io::stdout(), "The record is in {}", place.keep().display())?;
    }
    Ok(good)
}
