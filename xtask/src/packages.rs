//! Debian packages that tests need: installed with apt-get when missing, or named when that is not possible.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::report;
use crate::test::shell;

/// A file that proves a package is there, and the package.
const NEEDED: [(&str, &str); 1] = [("/usr/bin/chromium", "chromium")];

/// Installs what is missing. Python's venv module is tried rather than looked for: Debian ships Python without it.
pub fn install() -> Result<()> {
    let mut missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| *package)
        .collect();
    if !has_venv() {
        missing.push("python3-venv");
    }
    if !has_postgres() {
        missing.push("postgresql");
    }
    if missing.is_empty() {
        report("nothing is missing");
        return Ok(());
    }
    report(&format!("installing {}", missing.join(", ")));
    let told = format!("install these Debian packages and try again: {}", missing.join(" "));
    shell(Command::new("apt-get").args(["update", "-qq"])).context(told.clone())?;
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&missing);
    shell(apt.env("DEBIAN_FRONTEND", "noninteractive")).context(told)
}

/// Debian puts each major release into a folder of its own.
fn has_postgres() -> bool {
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    releases
        .into_iter()
        .any(|release| release.path().join("bin/initdb").exists())
}

fn has_venv() -> bool {
    let tried = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    tried.is_ok_and(|output| output.status.success())
}
