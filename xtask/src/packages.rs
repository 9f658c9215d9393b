//! Debian packages that tests need: installed with apt-get when missing, or named when that is not possible.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::report;
use crate::test::shell;

/// A file that proves a package is there, and the package.
const NEEDED: [(&str, &str); 2] = [("/usr/bin/chromium", "chromium"), ("/usr/bin/curl", "curl")];

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
    if !any_in("/usr/lib/postgresql", "bin/initdb") {
        missing.push("postgresql");
    }
    if !any_in("/usr/lib", "faketime/libfaketime.so.1") {
        missing.push("libfaketime");
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

/// Debian puts each major release of PostgreSQL, and each architecture's libraries, into a folder of its own.
fn any_in(folder: &str, file: &str) -> bool {
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
    folders.into_iter().any(|found| found.path().join(file).exists())
}

fn has_venv() -> bool {
    let tried = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    tried.is_ok_and(|output| output.status.success())
}
