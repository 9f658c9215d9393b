//! What has to pass before a change lands. Each step is a command that a person can run alone.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::report;

/// The steps, quickest first. The sandbox build is the one that tests run against; the release build is linted too,
/// because it is another feature graph.
const STEPS: [(&str, &[&str]); 5] = [
    ("formatting", &["fmt", "--all", "--check"]),
    ("tidy", &["run", "--quiet", "--package", "xtask", "--", "tidy"]),
    (
        "lints",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            "wharf-server/sandbox",
            "--",
            "--deny",
            "warnings",
        ],
    ),
    (
        "lints of the release build",
        &["clippy", "--package", "wharf-server", "--", "--deny", "warnings"],
    ),
    (
        "documentation",
        &[
            "doc",
            "--workspace",
            "--no-deps",
            "--quiet",
            "--features",
            "wharf-server/sandbox",
        ],
    ),
];

/// Runs every step and stops at the first that fails.
pub fn run() -> Result<()> {
    for (name, arguments) in STEPS {
        report(&format!("-- {name}: cargo {}", arguments.join(" ")));
        let status = Command::new(env!("CARGO"))
            .args(arguments)
            .env("RUSTDOCFLAGS", "--deny warnings")
            .status()
            .with_context(|| format!("cargo could not be started for: {name}"))?;
        ensure!(status.success(), "{name} failed");
    }
    Ok(())
}
