//! Property-based fuzzing of the API from outside: schemathesis reads `openapi.json`, a real `wharf demo` answers.
//! Checks that are switched off, and why, stand in `tests/api/schemathesis.toml`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;
use serde::Deserialize;

use crate::report;
use crate::test::{self, shell};

/// The release that the configuration was written for.
const REQUIREMENT: &str = "schemathesis==4.32.5";

/// The line that `wharf demo --json` prints when it is ready.
#[derive(Deserialize)]
struct Ready {
    url: String,
    api_key: String,
}

/// A server that ends with the run, whatever happens.
struct Demo {
    child: Child,
    ready: Ready,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the demo, starts it on a new data directory, and lets schemathesis at it.
pub fn run() -> Result<()> {
    let target: PathBuf = MetadataCommand::new().no_deps().exec()?.target_directory.into();
    let programs = test::programs()?;
    let program = install(&target)?;
    let data = target.join("schemathesis-data");
    if data.exists() {
        std::fs::remove_dir_all(&data).context("the last run's data directory could not be removed")?;
    }
    let demo = start(&programs.join("wharf"), &data)?;
    report(&format!("schemathesis against {}", demo.ready.url));
    shell(
        Command::new(program)
            .args(["--config-file", "tests/api/schemathesis.toml", "run", "openapi.json"])
            .args(["--url", &demo.ready.url])
            .env("WHARF_KEY", &demo.ready.api_key),
    )
}

/// A virtual environment in the target folder, made once.
fn install(target: &Path) -> Result<PathBuf> {
    let folder = target.join("schemathesis");
    let program = folder.join("bin/schemathesis");
    if !program.exists() {
        shell(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        shell(Command::new(folder.join("bin/pip")).args(["install", "--quiet", REQUIREMENT]))?;
    }
    Ok(program)
}

fn start(program: &Path, data: &Path) -> Result<Demo> {
    let log = std::fs::File::create(data.with_extension("log")).context("the log could not be created")?;
    let mut child = Command::new(program)
        .args(["demo", "--json", "--port", "0", "--data-dir"])
        .arg(data)
        // Wrong keys are part of the fuzzing; the limit on them is tested in crates/wharf-api/tests.
        .env("WHARF_API__FAILED_SIGN_INS_PER_ADDRESS", "0")
        .env("WHARF_API__RATE_PER_KEY", "0")
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .with_context(|| format!("{} could not be started", program.display()))?;
    let mut line = String::new();
    let output = child.stdout.take().context("the demo has no output")?;
    BufReader::new(output)
        .read_line(&mut line)
        .context("the demo's output could not be read")?;
    ensure!(
        !line.is_empty(),
        "the demo ended before it was ready; see {}",
        data.with_extension("log").display()
    );
    let ready = serde_json::from_str(&line).with_context(|| format!("not the line that was expected: {line}"))?;
    Ok(Demo { child, ready })
}
