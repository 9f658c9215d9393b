//! What a process uses, read from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// The kernel counts processor time for user space in hundredths of a second, whatever it ticks in itself.
const TICK: Duration = Duration::from_millis(10);

/// Memory and processor time of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Its share of memory in bytes: what it has alone, and its part of what several use.
    pub proportional: u64,
    /// User and system time since its start.
    pub cpu: Duration,
    /// How many threads it has.
    pub threads: u64,
    /// How many files and sockets it has open.
    pub open_files: usize,
}

impl Usage {
    pub(super) fn of(id: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        Ok(Self {
            resident: kilobytes(&status, "VmRSS:")?,
            proportional: kilobytes(&rollup, "Pss:")?,
            cpu: cpu(&fs::read_to_string(format!("/proc/{id}/stat"))?)?,
            threads: number(&status, "Threads:")?,
            open_files: fs::read_dir(format!("/proc/{id}/fd"))?.count(),
        })
    }
}

fn kilobytes(text: &str, field: &str) -> io::Result<u64> {
    Ok(number(text, field)? * 1024)
}

fn number(text: &str, field: &str) -> io::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let first = line.and_then(|line| line.split_whitespace().next());
    first
        .and_then(|first| first.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no field {field}")))
}

/// The name of the program stands in parentheses and may hold anything; the fields are counted behind it.
fn cpu(stat: &str) -> io::Result<Duration> {
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok(TICK * (user + system)),
        _ => Err(io::Error::other("no processor time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident > 100_000 && usage.proportional > 100_000 && usage.threads > 0 && usage.open_files > 2);
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_hides_no_field() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 12345 1 1";
        assert_eq!(cpu(stat).unwrap(), Duration::from_secs(3));
    }
}
