//! Whether the time of a check tells an id that nobody made from one of another workspace: `wharf-otp/examples/timing.rs`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::super::tell;
use crate::report::Row;
use crate::report::figure::{Figure, Target, Unit};

/// Runs it, and shows its line.
pub async fn measure(program: &Path) -> Result<Row> {
    let ended = Command::new(program).kill_on_drop(true).output().await;
    let ended = ended.with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let line = String::from_utf8(ended.stdout)?;
    tell(&format!("(f) {}", line.trim()));
    let (t, calls) = read(&line).with_context(|| format!("no t in {line}"))?;
    let what = format!("unknown id or another workspace's: absolute t of the times of {calls} checks");
    let bound = Target::AtMost(Unit::Plain, 4.5);
    Ok(Row::wharf(what, Figure::new(Unit::Plain, t.abs())).target(Some(bound)))
}

/// The numbers of `t = 0.51 over 100000 calls (...)`.
fn read(line: &str) -> Option<(f64, u64)> {
    let (t, rest) = line.trim().strip_prefix("t = ")?.split_once(" over ")?;
    let (calls, _) = rest.split_once(" calls")?;
    Some((t.parse().ok()?, calls.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_holds_t_and_the_number_of_calls() {
        assert_eq!(read("t = -0.51 over 100000 calls (...)\n"), Some((-0.51, 100_000)));
        assert_eq!(read("t is large"), None);
    }
}
