//! How a command ends: the exit codes of the manual, and errors that carry one.

use std::fmt;
use std::process::ExitCode;

/// Every way to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// No server answered.
    Unreachable,
    /// The server refused.
    Refused,
    /// Waiting took too long, or the link failed.
    NotLinked,
    /// Stopped by a second signal.
    Interrupted,
}

impl Outcome {
    /// The number of the manual.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::NotLinked => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

/// A plain sentence for a person, and the exit code that goes with it.
#[derive(Debug)]
pub struct Stop {
    /// The exit code.
    pub outcome: Outcome,
    sentence: String,
}

impl Stop {
    /// Ends with this sentence.
    pub fn new(outcome: Outcome, sentence: impl Into<String>) -> Self {
        Self {
            outcome,
            sentence: sentence.into(),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Stop {}

/// The exit code of an error.
pub fn of(error: &anyhow::Error) -> Outcome {
    error
        .downcast_ref::<Stop>()
        .map_or(Outcome::Failed, |stop| stop.outcome)
}
