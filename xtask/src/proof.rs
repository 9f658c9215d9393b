//! Long proofs and the benchmark: builds the binaries with the right profile, installs the Node programs, and runs
//! `tests/proof` and `tests/bench` on them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use cargo_metadata::MetadataCommand;
use clap::{Args, ValueEnum};

use crate::test::{npm_ci, shell};
use crate::{packages, settle};

/// The databases that Wharf runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What a proof is told.
#[derive(Args, Clone, Debug)]
pub struct Proof {
    /// Chooses every random moment; the same seed makes the same choices.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The database; without it one after the other.
    #[arg(long)]
    pub dialect: Option<Dialect>,
    /// The cargo profile of the binaries.
    #[arg(long, default_value = "release")]
    pub profile: String,
    /// Keeps the recordings here.
    #[arg(long)]
    pub keep: Option<PathBuf>,
    /// Where the proving programs are built already; without it they are built.
    #[arg(skip)]
    pub provers: Option<PathBuf>,
}

impl Proof {
    fn dialects(&self) -> Vec<Dialect> {
        self.dialect.map_or_else(|| Dialect::ALL.to_vec(), |one| vec![one])
    }
}

/// The two programs under test.
pub struct Binaries {
    wharf: PathBuf,
    sandbox: PathBuf,
}

impl Binaries {
    /// Builds them.
    pub fn build(profile: &str) -> Result<Self> {
        // In one command: built one after the other they would choose other features, and compile everything twice.
        shell(Command::new(env!("CARGO")).args([
            "build",
            "--profile",
            profile,
            "--package",
            "wharf-server",
            "--package",
            "wharf-sandbox",
            "--features",
            "wharf-server/sandbox",
        ]))?;
        settle::run()?;
        let folder = match profile {
            "dev" => "debug",
            other => other,
        };
        let target: PathBuf = MetadataCommand::new().no_deps().exec()?.target_directory.into();
        let folder = target.join(folder);
        Ok(Self {
            wharf: folder.join("wharf"),
            sandbox: folder.join("wharf-sandbox"),
        })
    }

    /// Builds the program that looks for differences in the time of checks, beside the binaries of a release.
    fn build_timing(&self) -> Result<PathBuf> {
        shell(Command::new(env!("CARGO")).args([
            "build",
            "--release",
            "--package",
            "wharf-otp",
            "--example",
            "timing",
        ]))?;
        Ok(self.wharf.with_file_name("examples").join("timing"))
    }
}

/// Kills Wharf `kills` times in the middle of its work, on each database, and checks what is left.
pub fn kill(proof: &Proof, kills: u32) -> Result<()> {
    let binaries = prepare(&proof.profile)?;
    for dialect in proof.dialects() {
        let mut command = prover(proof, "prove-kill", &binaries);
        command.args(["--kills", &kills.to_string()]);
        run(command, proof, dialect)?;
    }
    Ok(())
}

/// Kills Wharf `kills` times between the steps of one-time passwords, on each database, with at least so many visitors
/// between two kills, and checks what they were answered and shown.
pub fn otp(proof: &Proof, kills: u32, visits: u32) -> Result<()> {
    // No Baileys here: PostgreSQL is all that it needs beside the binaries.
    packages::install()?;
    let binaries = Binaries::build(&proof.profile)?;
    for dialect in proof.dialects() {
        let mut command = prover(proof, "prove-otp", &binaries);
        command.args(["--kills", &kills.to_string(), "--visits", &visits.to_string()]);
        run(command, proof, dialect)?;
    }
    Ok(())
}

/// Breaks the network, the database, the disk and the clock under Wharf, and checks what is left.
pub fn faults(proof: &Proof, short: bool) -> Result<()> {
    let binaries = prepare(&proof.profile)?;
    for dialect in proof.dialects() {
        let mut command = prover(proof, "prove-faults", &binaries);
        if short {
            command.arg("--short");
        }
        run(command, proof, dialect)?;
    }
    Ok(())
}

/// Sends so many visitors through the session generator, and looks at what is left of them.
pub fn generator(attempts: u32, profile: &str) -> Result<()> {
    let binaries = Binaries::build(profile)?;
    let mut command = program("wharf-proof", "prove-generator", &binaries);
    shell(command.args(["--attempts", &attempts.to_string()]))
}

/// Measures, and writes `docs/benchmarks.md`.
pub fn bench(arguments: &[String]) -> Result<()> {
    let binaries = prepare("release")?;
    let timing = binaries.build_timing()?;
    let mut command = program("wharf-bench", "bench", &binaries);
    shell(command.arg("--timing").arg(timing).args(arguments))
}

fn prepare(profile: &str) -> Result<Binaries> {
    packages::install()?;
    npm_ci("tests/baileys")?;
    Binaries::build(profile)
}

/// The program itself is no part of what is measured or killed: it is built as tests are, quickly. The benchmark's
/// load generator shares the cores with what it measures, so that one is optimised.
fn program(package: &str, name: &str, binaries: &Binaries) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--package", package, "--bin", name]);
    if package == "wharf-bench" {
        command.arg("--release");
    }
    command.arg("--");
    with_binaries(command, binaries)
}

fn prover(proof: &Proof, name: &str, binaries: &Binaries) -> Command {
    match &proof.provers {
        Some(built) => with_binaries(Command::new(built.join(name)), binaries),
        None => program("wharf-proof", name, binaries),
    }
}

fn with_binaries(mut command: Command, binaries: &Binaries) -> Command {
    command
        .arg("--wharf")
        .arg(&binaries.wharf)
        .arg("--sandbox")
        .arg(&binaries.sandbox);
    command
}

fn run(mut command: Command, proof: &Proof, dialect: Dialect) -> Result<()> {
    command.args(["--seed", &proof.seed.to_string(), "--dialect", dialect.name()]);
    if let Some(folder) = &proof.keep {
        command.arg("--keep").arg(folder.join(dialect.name()));
    }
    shell(&mut command)
}
