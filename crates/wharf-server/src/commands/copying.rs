//! How a long copy tells how far it has come.

use wharf_storage::backup::{OnProgress, Progress};

use crate::output;

const MEBIBYTE: u64 = 1024 * 1024;

/// A line after so many more bytes.
const EVERY: u64 = 32 * MEBIBYTE;

/// Tells now and then.
#[derive(Debug)]
pub struct Teller {
    verb: &'static str,
    next: u64,
}

impl Teller {
    /// `verb` begins each line.
    pub const fn new(verb: &'static str) -> Self {
        Self { verb, next: EVERY }
    }

    /// As storage takes it.
    pub fn into_callback(mut self) -> OnProgress {
        Box::new(move |progress| {
            if let Some(line) = self.line(progress) {
                output::tell(&line);
            }
        })
    }

    fn line(&mut self, progress: Progress) -> Option<String> {
        if progress.bytes < self.next {
            return None;
        }
        self.next = progress.bytes - progress.bytes % EVERY + EVERY;
        let Progress { rows, bytes } = progress;
        Some(format!("{} {rows} rows, {} so far", self.verb, mebibytes(bytes)))
    }
}

/// `12.3 MiB`.
pub fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / MEBIBYTE;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_with_every_step_and_not_between() {
        let mut teller = Teller::new("Copied");
        let mut at = |bytes| teller.line(Progress { rows: 7, bytes });
        assert_eq!(at(EVERY - 1), None);
        assert_eq!(at(EVERY + 1).as_deref(), Some("Copied 7 rows, 32.0 MiB so far"));
        assert_eq!(at(2 * EVERY - 1), None);
        assert_eq!(
            at(5 * EVERY + MEBIBYTE / 2).as_deref(),
            Some("Copied 7 rows, 160.5 MiB so far")
        );
        assert_eq!(at(6 * EVERY - 1), None);
    }
}
