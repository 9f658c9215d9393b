//! The result as `docs/benchmarks.md`.

use super::{COLUMNS, Report, Section, Use};

const OPENING: &str = "# Benchmarks

Written by `make bench`; do not edit. It measures Wharf beside the least that a gateway on Baileys is
(`tests/baileys/gateway.mjs`: Node, express, `@whiskeysockets/baileys` 7.0.0-rc14, multi-file auth behind the key cache
of its own example), in the same run, against the same simulated network (`wharf-sandbox`), at the same depth. That program
stores nothing about a message, flushes nothing to disk and retries nothing; Wharf commits every message, its events and
its signal state durably before it goes on.

Gateway, sandbox and load generator are processes of their own and share the machine's cores. The sandbox really
decrypts every message. That something is fast here says nothing about the real network: WhatsApp's own limits are far
below these rates, and Wharf's pacing, which keeps to them, is opened for the measurement.

```sh
make bench                            # everything; about an hour
cargo xtask bench --only c,d --quick  # parts, with small numbers
```
";

pub fn page(report: &Report) -> String {
    let mut text = OPENING.to_owned();
    text.push_str("\n## Machine\n\n| | |\n|---|---|\n");
    for (name, value) in &report.machine {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    for section in &report.sections {
        text.push_str(&format!("\n## {}\n\n{}\n\n", section.title, section.method));
        text.push_str(&rows(section));
        text.push_str(&uses(&section.uses));
    }
    text
}

fn rows(section: &Section) -> String {
    let mut text = format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    for row in &section.rows {
        text.push_str(&format!("| {} |\n", row.cells().join(" | ")));
    }
    text
}

/// A table of its own where processes were watched: a column for each.
fn uses(uses: &[Use]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for share in uses.iter().flat_map(|used| &used.shares) {
        if !names.contains(&share.process) {
            names.push(share.process);
        }
    }
    if names.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\nPart of one core used meanwhile, and processor time for each message:\n\n| | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for used in uses {
        let cell = |name: &&str| {
            let share = used.shares.iter().find(|share| share.process == *name);
            share.map_or(String::new(), |share| used.of(share))
        };
        let cells: Vec<_> = names.iter().map(cell).collect();
        text.push_str(&format!("| {} | {} |\n", used.what, cells.join(" | ")));
    }
    text
}
