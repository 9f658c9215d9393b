//! Faults around a running Wharf: what is broken, for how long, and what has to be true meanwhile and afterwards.

mod clock;
mod database;
mod disk;
mod network;
mod scenario;
mod scene;

pub use scenario::{Scenario, scenarios};
pub use scene::{Judged, play};
