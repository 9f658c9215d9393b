//! Faults of a configuration, gathered so that all are told at once.

use std::fmt;

/// One fault: where and what. Never the value: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    path: String,
    what: String,
}

/// Every fault found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault.
    pub fn add(&mut self, path: &str, what: &str) {
        self.0.push(Fault {
            path: path.to_owned(),
            what: what.to_owned(),
        });
    }

    /// `value` when nothing was wrong.
    ///
    /// # Errors
    /// All faults.
    pub fn finish<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a fault:")?,
            count => write!(f, "the configuration has {count} faults:")?,
        }
        for fault in &self.0 {
            write!(f, "\n  {}: {}", fault.path, fault.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
