//! The result for a terminal.

use super::{COLUMNS, Report, Section};

pub fn text(report: &Report) -> String {
    let mut text = String::new();
    for (name, value) in &report.machine {
        text.push_str(&format!("{name:<12} {value}\n"));
    }
    for section in &report.sections {
        text.push_str(&format!("\n{}\n", section.title));
        text.push_str(&aligned(section));
        for used in &section.uses {
            let shares = used
                .shares
                .iter()
                .map(|share| format!("{} {}", share.process, used.of(share)));
            let shares: Vec<_> = shares.collect();
            text.push_str(&format!("  processor, {}: {}\n", used.what, shares.join(", ")));
        }
    }
    text
}

fn aligned(section: &Section) -> String {
    let header = COLUMNS.map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(header)
        .chain(section.rows.iter().map(super::Row::cells))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line: Vec<_> = cells.collect();
        text.push_str(&format!("  {}\n", line.join("  ").trim_end()));
    }
    text
}
