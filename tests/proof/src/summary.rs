//! What a run has to say in the end.

use std::io::Write;
use std::time::Duration;

use crate::check::{Counts, INVARIANTS, Report, counts};
use crate::mutate::Shown;
use crate::recording::{LifeEnd, Millis, Recording};

/// Prints the table, the violations and the mutations to stdout.
///
/// # Errors
/// stdout is gone.
pub fn print(recording: &Recording, report: &Report, shown: &[Shown], took: Duration) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let about = &recording.about;
    writeln!(
        out,
        "{} on {}, seed {}, {:.1} s",
        about.program,
        about.dialect,
        about.seed,
        took.as_secs_f64()
    )?;
    for (what, count) in rows(&counts(recording)) {
        writeln!(out, "  {what:<44}{count:>9}")?;
    }
    if let Some((median, longest)) = restarts(recording) {
        writeln!(
            out,
            "  {:<44}{median:>6} ms (longest {longest} ms)",
            "start until all sessions were ready, median"
        )?;
    }
    for life in recording.faults.iter().filter(|fault| fault.fired > 0) {
        let lasted = life.until.saturating_sub(life.from);
        writeln!(out, "  fault: {:<60} {:>6} times in {lasted} ms", life.what, life.fired)?;
    }
    write!(out, "{report}")?;
    let failed = report.violations.len();
    writeln!(
        out,
        "  {} of {} invariants hold",
        INVARIANTS.len() - failed,
        INVARIANTS.len()
    )?;
    if !shown.is_empty() {
        writeln!(out, "The checker on broken copies of this recording:")?;
        for mutation in shown {
            writeln!(out, "  {mutation}")?;
        }
    }
    let good = report.is_clean() && shown.iter().all(Shown::is_caught);
    writeln!(out, "{}", if good { "PASSED" } else { "FAILED" })?;
    out.flush()
}

fn rows(counts: &Counts) -> [(&'static str, usize); 17] {
    [
        ("kills", counts.kills),
        ("kills during a start", counts.early_kills),
        ("calls", counts.calls),
        ("calls without an answer", counts.unknown),
        ("calls that were refused", counts.refused),
        ("messages accepted", counts.accepted),
        ("messages on the wire", counts.wire),
        ("messages sent again", counts.sent_again),
        ("copies decrypted by phones", counts.decrypted),
        ("copies decrypted by Baileys", counts.peer_copies),
        ("messages to the sessions", counts.inbound),
        ("copies that sessions asked for again", counts.retries),
        ("delivery receipts", counts.delivered),
        ("read receipts", counts.read),
        ("logins", counts.logins),
        ("events", counts.events),
        ("faults", counts.faults),
    ]
}

fn restarts(recording: &Recording) -> Option<(Millis, Millis)> {
    let lives = recording.lives.iter().filter(|life| life.end != LifeEnd::EarlyKill);
    let mut times: Vec<Millis> = lives.filter_map(|life| life.ready_after).collect();
    times.sort_unstable();
    Some((*times.get(times.len() / 2)?, *times.last()?))
}
