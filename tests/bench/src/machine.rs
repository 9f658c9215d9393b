//! What the numbers were measured on: without the cores and the disk's flush time they cannot be compared.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::load::spread::Spread;

const FLUSHES: usize = 200;

/// Names and values. `folder` is where the databases of this run are going to be.
pub fn describe(wharf: &Path, folder: &Path) -> Result<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism()?;
    let memory: f64 = proc_field("/proc/meminfo", "MemTotal")?
        .split_whitespace()
        .next()
        .context("no memory")?
        .parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(vec![
        (
            "processor",
            format!("{}, {cores} cores", proc_field("/proc/cpuinfo", "model name")?),
        ),
        ("memory", format!("{:.0} GB", memory * 1024.0 / 1e9)),
        (
            "disk",
            format!(
                "fdatasync of 4 KiB {:.2} ms in the median",
                flush_time(folder)? * 1000.0
            ),
        ),
        ("kernel", kernel.split('-').next().unwrap_or_default().trim().to_owned()),
        ("Wharf", version(wharf, "wharf")?),
        ("Node", version(Path::new("node"), "v")?),
    ])
}

/// What a program says to `--version`, without its name.
pub fn version(program: &Path, name: &str) -> Result<String> {
    let told = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("{} does not start", program.display()))?;
    ensure!(told.status.success(), "{} tells no version", program.display());
    let text = String::from_utf8_lossy(&told.stdout);
    let text = text.lines().next().unwrap_or_default().trim();
    Ok(text.strip_prefix(name).unwrap_or(text).trim().to_owned())
}

fn proc_field(file: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(file)?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(found, _)| found.trim() == name);
    let (_, value) = found.with_context(|| format!("no {name} in {file}"))?;
    Ok(value.trim().to_owned())
}

/// Seconds of a 4 KiB write that is flushed to disk, in the median.
fn flush_time(folder: &Path) -> Result<f64> {
    let path = folder.join("flush");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let started = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    fs::remove_file(path)?;
    Ok(times.into_iter().collect::<Spread>().percentile(50))
}
