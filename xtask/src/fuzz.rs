//! Fuzzing of the sandbox and the vault with libFuzzer: targets, seeds and kept inputs lie in `tests/fuzz`, whatever a run finds beside
//! them in the target folder. The tests of `wharf-fuzz` replay what is kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::report;
use crate::test::shell;

/// The release that the arguments below are for.
const CARGO_FUZZ: &str = "0.13.2";
const TARGETS: [&str; 6] = ["frames", "handshake", "nodes", "bodies", "credentials", "bundles"];
/// Bytes of the longest input.
const LONGEST: u32 = 16 * 1024;
/// Megabytes that a target may use, most of them for what it has learned about the code; a leak ends it here.
const MEMORY: u32 = 1024;
/// Seconds that one input may take.
const TIMEOUT: u32 = 10;

/// Runs every target, or one, for so many seconds. The first fault ends it, and the input that made it is named.
pub fn run(seconds: u32, only: Option<&str>, keep: bool) -> Result<()> {
    let target_folder: PathBuf = MetadataCommand::new().no_deps().exec()?.target_directory.into();
    let fuzz = Fuzz::install(&target_folder)?;
    for target in TARGETS.iter().filter(|name| only.is_none_or(|only| only == **name)) {
        report(&format!("\n== {target}, {seconds} s"));
        fuzz.run(target, seconds)?;
        if keep {
            fuzz.keep(target)?;
        }
    }
    Ok(())
}

struct Fuzz {
    /// Where `cargo-fuzz` is.
    program: PathBuf,
    /// Builds, and inputs that were found.
    folder: PathBuf,
}

impl Fuzz {
    /// Installed once, below the target folder.
    fn install(target_folder: &Path) -> Result<Self> {
        let folder = target_folder.join("fuzz");
        let program = folder.join("tools/bin/cargo-fuzz");
        if !program.exists() {
            let mut install = Command::new(env!("CARGO"));
            install.args([
                "install",
                "--quiet",
                "--locked",
                "cargo-fuzz",
                "--version",
                CARGO_FUZZ,
                "--root",
            ]);
            shell(install.arg(folder.join("tools")))?;
        }
        Ok(Self { program, folder })
    }

    fn run(&self, target: &str, seconds: u32) -> Result<()> {
        let mut command = self.fuzzer(target, &[self.found(target)?, kept(target)]);
        command.arg(format!("-max_total_time={seconds}"));
        shell(&mut command)
    }

    /// Adds to the kept inputs those that reach something which none of them reaches.
    fn keep(&self, target: &str) -> Result<()> {
        let mut command = self.fuzzer(target, &[kept(target), self.found(target)?]);
        // How often code runs would make for ten times as many inputs.
        shell(command.args(["-merge=1", "-use_counters=0"]))
    }

    fn fuzzer(&self, target: &str, corpora: &[PathBuf]) -> Command {
        let mut command = Command::new(&self.program);
        // The release profile optimises across crates, which takes minutes for each target and finds nothing more.
        command
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        // Without a sanitizer the stable compiler does: the sandbox has no unsafe code that one would watch.
        command
            .args(["fuzz", "run", "--fuzz-dir", "tests/fuzz", "--sanitizer", "none"])
            .args(["--features", "libfuzzer", "--target-dir"])
            .arg(self.folder.join("build"))
            .arg(target)
            .args(corpora)
            .args(["--", "-print_final_stats=1"])
            .arg(format!("-max_len={LONGEST}"))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-timeout={TIMEOUT}"));
        command
    }

    fn found(&self, target: &str) -> Result<PathBuf> {
        let folder = self.folder.join("found").join(target);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
        Ok(folder)
    }
}

fn kept(target: &str) -> PathBuf {
    Path::new("tests/fuzz/corpus").join(target)
}
