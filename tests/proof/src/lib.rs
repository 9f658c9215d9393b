//! Owns the proof that Wharf keeps its promises when it is killed, when everything around it fails, and when many come: what drives the
//! real programs, the recording of all that was seen from outside, and the checker that judges the recording.
//!
//! Promises that [`mod@check`] is a pure function of the recording, that a recording which shows too little fails, and that
//! each of its sentences is shown to fail on a recording that was broken on purpose. Never looks into Wharf: what it
//! knows are the answers of the API, the event feed, and what crossed the wire at the sandbox.

pub mod check;
pub mod drive;
pub mod faults;
pub mod generator;
pub mod mutate;
pub mod options;
pub mod otp;
pub mod recording;
pub mod summary;

pub use check::{Report, Violation, check};
pub use recording::Recording;
