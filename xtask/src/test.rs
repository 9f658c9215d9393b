//! All tests, in the order that fails fastest, on a machine that has Rust and Node. Debian packages that are missing are
//! installed. Every step is a command that a person can run alone; its time is shown at the end.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;

use crate::proof::{self, Proof};
use crate::{packages, report, schemathesis, settle};

/// A step and what runs it.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 11] = [
    ("formatting and tidy", formatting_and_tidy),
    ("packages", packages::install),
    ("tests of every crate, with the sandbox", crates),
    ("the same tests on PostgreSQL", crates_on_postgres),
    ("other people's clients in the sandbox", interop),
    ("certificate verification of the release build", live_build),
    ("API fuzzing with schemathesis", schemathesis::run),
    ("the demo in a browser", browser),
    ("five kills on each database", kills),
    ("five kills between the steps of one-time passwords", otp_kills),
    ("faults of network, database, disk and clock", faults),
];

/// The programs that steps run.
const PROGRAMS: [&str; 6] = [
    "wharf",
    "wharf-sandbox",
    "wharf-interop-engine",
    "prove-kill",
    "prove-otp",
    "prove-faults",
];

/// Runs every step; the first failure ends the run.
pub fn run() -> Result<()> {
    let mut times = Vec::new();
    for (name, step) in STEPS {
        report(&format!("\n== {name}"));
        let started = Instant::now();
        let outcome = step().and_then(|()| settle::run());
        times.push((name, started.elapsed()));
        if let Err(error) = outcome {
            report(&table(&times));
            return Err(error.context(format!("failed: {name}")));
        }
    }
    report(&table(&times));
    Ok(())
}

fn table(times: &[(&str, Duration)]) -> String {
    times
        .iter()
        .map(|(name, time)| format!("{:>6} s  {name}\n", time.as_secs()))
        .collect()
}

fn formatting_and_tidy() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    crate::tidy::run()
}

/// Tests of credentials ask Baileys for real ones, and megajs whether it reads what is kept at MEGA.
fn crates() -> Result<()> {
    npm_ci("tests/baileys")?;
    npm_ci("tests/mega")?;
    shell(&mut crate_tests())
}

/// The same tests with PostgreSQL under them.
fn crates_on_postgres() -> Result<()> {
    shell(crate_tests().env("WHARF_TEST_DATABASE", "postgres"))
}

fn crate_tests() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "test",
        "--workspace",
        "--features",
        "wharf-server/sandbox",
        "--no-fail-fast",
    ]);
    command
}

/// The tests of the sandbox, so many times in a row.
pub fn repeat(times: u32) -> Result<()> {
    for round in 1..=times {
        let started = Instant::now();
        cargo(&["test", "--quiet", "--package", "wharf-sandbox"])?;
        report(&format!("round {round} of {times}: {} s", started.elapsed().as_secs()));
    }
    Ok(())
}

fn kills() -> Result<()> {
    proof::kill(&short_proof()?, 5)
}

fn otp_kills() -> Result<()> {
    proof::otp(&short_proof()?, 5, 4)
}

fn faults() -> Result<()> {
    proof::faults(&short_proof()?, true)
}

/// With the binary that `make demo` builds.
fn short_proof() -> Result<Proof> {
    Ok(Proof {
        seed: 1,
        dialect: None,
        profile: "demo".to_owned(),
        keep: None,
        provers: Some(programs()?),
    })
}

/// The build without the `sandbox` feature is another feature graph; it gets a target folder of its own, so that
/// neither build can pick up the other's engine.
fn live_build() -> Result<()> {
    let target = MetadataCommand::new().no_deps().exec()?.target_directory.join("live");
    cargo(&["test", "--package", "wharf-whatsapp", "--target-dir", target.as_str()])
}

fn browser() -> Result<()> {
    npm_ci("tests/browser")?;
    shell(Command::new("npm").arg("test").current_dir("tests/browser"))
}

/// Builds the programs that tests need and gives the folder that they are in.
///
/// Together with the tests: for those cargo chooses the features that the tests of the crates were compiled with, for the
/// programs alone it chooses others, and compiles everything that they share once more.
pub fn programs() -> Result<PathBuf> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--workspace", "--features", "wharf-server/sandbox", "--tests"]);
    for program in PROGRAMS {
        build.args(["--bin", program]);
    }
    shell(&mut build)?;
    let target = MetadataCommand::new().no_deps().exec()?.target_directory;
    Ok(target.join("debug").into())
}

fn interop() -> Result<()> {
    npm_ci("tests/interop")?;
    let built = programs()?;
    let paths = ["wharf-sandbox", "wharf-interop-engine"].map(|program| built.join(program));
    shell(
        Command::new("node")
            .arg("run.mjs")
            .args(paths)
            .current_dir("tests/interop"),
    )
}

/// Installs what a folder's lock file names.
pub fn npm_ci(folder: &str) -> Result<()> {
    shell(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(folder),
    )
}

fn cargo(arguments: &[&str]) -> Result<()> {
    shell(Command::new(env!("CARGO")).args(arguments))
}

/// Runs a command with its output shown.
pub fn shell(command: &mut Command) -> Result<()> {
    // Not the whole of it: what is in its environment may be a key.
    let shown = format!(
        "{:?} {:?}",
        command.get_program(),
        command.get_args().collect::<Vec<_>>()
    );
    let status = command.status().with_context(|| format!("could not start {shown}"))?;
    ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}
