//! `prove-generator`: a thousand visitors of the session generator, half of whom leave without a string, and a crowd of
//! them at once. Exit code 0 when nothing is left of them: no file, no memory, no link but those that were made.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use wharf_proof::generator::{Generator, REST, attempts, crowd};
use wharf_testkit::process::{Sandbox, SandboxOptions};

const PROGRAM: &str = "prove-generator";

/// Attempts before memory is looked at for the first time: caches and pools are filled by then.
const WARM: usize = 200;
/// How much more memory the last look may find than the first.
const GROWTH: u64 = 8 * 1024 * 1024;
/// How long the page may take while the crowd is there.
const PAGE: Duration = Duration::from_millis(500);

/// Sends visitors through the session generator.
#[derive(Debug, Parser)]
#[command(name = PROGRAM)]
struct Arguments {
    /// The binary under test, built with the feature `sandbox`
    #[arg(long, value_name = "BIN")]
    wharf: PathBuf,
    /// The sandbox's binary
    #[arg(long, value_name = "BIN")]
    sandbox: PathBuf,
    /// How many visitors come one after the other
    #[arg(long, default_value_t = 1000)]
    attempts: usize,
    /// How many come at once
    #[arg(long, default_value_t = 200)]
    crowd: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => {
            say("PASSED");
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("{PROGRAM}: {error:#}\nFAILED"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let folder = tempfile::tempdir()?;
    let sandbox = Sandbox::start(&arguments.sandbox, &SandboxOptions::default()).await?;
    let generator = Generator::start(&arguments.wharf, &sandbox, folder.path(), arguments.crowd).await?;
    say(&format!(
        "  memory when it starts           {}",
        mib(generator.resident()?)
    ));
    attempts(&generator, &sandbox, 0..WARM).await?;
    let seen = crowd(&generator, arguments.crowd).await?;
    say(&format!(
        "  {} at once: QR for all after {:.1} s; the page took {:?} (p99), {:?} at most",
        arguments.crowd,
        seen.served_in.as_secs_f64(),
        seen.p99,
        seen.longest
    ));
    tokio::time::sleep(REST).await;
    let before = generator.resident()?;
    say(&format!("  memory after {WARM} and the crowd   {}", mib(before)));
    let begun = Instant::now();
    attempts(&generator, &sandbox, 0..arguments.attempts).await?;
    let each = begun.elapsed().as_secs_f64() / arguments.attempts as f64;
    crowd(&generator, arguments.crowd).await?;
    tokio::time::sleep(REST).await;
    let after = generator.resident()?;
    say(&format!(
        "  memory after {} more          {}",
        arguments.attempts,
        mib(after)
    ));
    let left = std::fs::read_dir(folder.path())?.count();
    say(&format!(
        "  files                           {left}\n  seconds an attempt              {each:.2}"
    ));
    generator.stop().await?;
    sandbox.stop().await?;
    ensure!(left == 0, "the generator left {left} files");
    ensure!(seen.p99 < PAGE, "the page took {:?} at the 99th percentile", seen.p99);
    ensure!(
        after <= before + GROWTH,
        "memory grew by {}",
        mib(after.saturating_sub(before))
    );
    say(&format!(
        "{PROGRAM}, {} attempts, {:.1} s",
        arguments.attempts,
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
