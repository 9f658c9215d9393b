//! Drives the real programs and records what is seen from outside. Nothing here judges: a run that goes wrong is
//! recorded as well as one that goes right.

mod feed;
mod finish;
mod load;
mod moment;
mod network;
mod progress;
mod ready;
mod recorder;
mod stage;
mod visitors;

use std::time::{SystemTime, UNIX_EPOCH};

pub use feed::Follower;
pub use finish::{finish, settle};
pub use load::{Callers, Load, Pace};
pub use moment::{Moment, Plan};
pub use network::NetworkLog;
pub(crate) use network::whole_log;
pub use progress::Progress;
pub use ready::all_ready;
pub use recorder::Recorder;
pub use stage::{Database, Dialect, Stage, StageOptions};
pub(crate) use stage::{start_sandbox, wharf_options};
pub use visitors::{Company, Visitors};

use crate::recording::Millis;

/// The machine's clock; the sandbox stamps its log with the same.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
