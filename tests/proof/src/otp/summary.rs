//! What a run has to say in the end.

use std::io::Write;
use std::time::Duration;

use super::check::INVARIANTS;
use super::counts::{Counts, counts};
use super::record::Record;
use crate::check::Report;
use crate::mutate::Shown;

/// Prints the table, the violations and the mutations to stdout.
///
/// # Errors
/// stdout is gone.
pub fn print(record: &Record, report: &Report, shown: &[Shown], took: Duration) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let about = &record.about;
    let seconds = took.as_secs_f64();
    writeln!(
        out,
        "prove-otp on {}, seed {}, {seconds:.1} s",
        about.dialect, about.seed
    )?;
    for (what, count) in rows(&counts(record)) {
        writeln!(out, "  {what:<58}{count:>7}")?;
    }
    write!(out, "{report}")?;
    let holding = INVARIANTS.len() - report.violations.len();
    writeln!(out, "  {holding} of {} invariants hold", INVARIANTS.len())?;
    if !shown.is_empty() {
        writeln!(out, "The checker on broken copies of this record:")?;
        for mutation in shown {
            writeln!(out, "  {mutation}")?;
        }
    }
    let good = report.is_clean() && shown.iter().all(Shown::is_caught);
    writeln!(out, "{}", if good { "PASSED" } else { "FAILED" })?;
    out.flush()
}

fn rows(counts: &Counts) -> [(&'static str, usize); 20] {
    [
        ("kills", counts.kills),
        ("  while a send had no answer yet", counts.kills_in_a_send),
        ("  between its answer and the phone", counts.kills_on_the_way),
        ("  between the phone and the check", counts.kills_untyped),
        ("  while a check had no answer yet", counts.kills_in_a_check),
        ("kills during a start", counts.early_kills),
        ("calls", counts.calls),
        ("calls without an answer", counts.lost),
        ("  sends that had been carried out", counts.sends_kept),
        ("  sends of which nothing was left", counts.sends_undone),
        ("  checks that had approved", counts.checks_kept),
        ("  right checks of which nothing was left", counts.checks_undone),
        ("verifications", counts.verifications),
        ("codes that were asked for again", counts.resent),
        ("messages that reached their phones", counts.messages),
        ("messages that were sent again under their id", counts.sent_again),
        ("wrong codes", counts.wrong),
        ("approvals", counts.approved),
        ("approvals that were told again", counts.repeated),
        ("right codes for which no tries were left", counts.exhausted),
    ]
}
