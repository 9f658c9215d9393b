//! What can go wrong with a program or a call to it.

use std::io;
use std::time::Duration;

/// A program that did not do what was asked of it. The sentences end with what it said itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The system did not start it.
    #[error("{program} cannot be started")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended although it was needed.
    #[error("{program} ended; it said:\n{said}")]
    Ended {
        /// Its name.
        program: String,
        /// The end of its stderr.
        said: String,
    },
    /// It said nothing in time.
    #[error("{program} printed no line within {waited:?}; it said:\n{said}")]
    Silent {
        /// Its name.
        program: String,
        /// For how long somebody waited.
        waited: Duration,
        /// The end of its stderr.
        said: String,
    },
    /// Its line is not the JSON that was expected.
    #[error("{program} printed something else than expected: {line}")]
    Unexpected {
        /// Its name.
        program: String,
        /// What it printed.
        line: String,
    },
    /// It could not be signalled, awaited or looked at.
    #[error("{program} cannot be {action}")]
    Control {
        /// Its name.
        program: String,
        /// What was tried: `killed`, `measured`.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A call that got no answer: the program is gone, or silent for too long.
    #[error("{call} got no answer")]
    NoAnswer {
        /// Method and path.
        call: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A call that was answered with something else than success.
    #[error("{call} was answered with {status}: {body}")]
    Refused {
        /// Method and path.
        call: String,
        /// The status.
        status: u16,
        /// What the answer said.
        body: String,
    },
    /// An answer that is not what its content type says.
    #[error("{call} was answered with something unreadable: {body}")]
    Unreadable {
        /// Method and path.
        call: String,
        /// The beginning of the body.
        body: String,
    },
    /// A condition that did not come about.
    #[error("it never happened: {0}")]
    Never(String),
}
