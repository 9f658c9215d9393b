//! Owns the real programs that tests, proofs and benchmarks start: Wharf, the sandbox, Node programs. Promises that a
//! program that does not start says why, in its own words, and that none outlives the value that holds it. Paths of
//! binaries are always parameters: nothing here builds or looks for one.

mod baileys;
mod error;
mod http;
mod node;
mod program;
mod sandbox;
mod stream;
mod usage;
mod wharf;

use std::time::Duration;

pub use baileys::{Baileys, KeptFile, kept};
pub use error::ProcessError;
pub use http::{Answer, Remote, until};
pub use node::{Node, NodeInput};
pub use program::{Launch, Program};
pub use sandbox::{Sandbox, SandboxOptions};
pub use stream::{EventStream, StreamEvent};
pub use usage::Usage;
pub use wharf::{Wharf, WharfOptions};

/// How long anything here waits for a program or an answer. Nothing takes this long on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
