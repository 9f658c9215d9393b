//! Backups: a whole database as one file, and the way back.
//!
//! A backup is a SQLite file of the current schema whatever dialect it was made from, so it can be restored into
//! either. Promises: it shows one moment, taken while the owner goes on working; what is sealed stays sealed, the
//! wrapped data keys are in it and the master key is not; it is whole under its name or not there at all; it is no
//! database that a server starts on, because the protocol state in it is stale from its first minute. A restore checks
//! everything before it writes, writes everything or nothing, and begins a new feed of events.
//!
//! Never decides what becomes of protocol state: its owner brings a [`Carry`].

mod digest;
mod error;
mod file;
mod make;
mod opened;
mod restore;
mod server;
mod source;
mod tables;
mod target;

use std::error::Error;
use std::path::PathBuf;

use wharf_model::Timestamp;

use crate::seal::SessionKeys;
use crate::wa_state::StateRow;

pub use error::BackupError;
pub use make::make;
pub use restore::restore;

/// `WHAB`, in the header of every backup. Another than a database's, so that no server takes one for its data.
pub(crate) const APPLICATION_ID: u32 = 0x5748_4142;

/// What is to be backed up to where.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The file.
    pub file: PathBuf,
    /// Whether a file of this name may be replaced.
    pub replace: bool,
}

/// How far a backup or a restore has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows so far.
    pub rows: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Is told after every few hundred rows.
pub type OnProgress = Box<dyn FnMut(Progress) + Send>;

/// Decides what becomes of a row of protocol state when a backup is restored: kept, changed, or `None` for dropped. What
/// counts messages or is used once must not come back as it was.
pub type Carry = Box<dyn Fn(&SessionKeys, StateRow) -> Result<Option<StateRow>, Unreadable> + Send + Sync>;

/// Why a [`Carry`] does not know what to do with a row.
pub type Unreadable = Box<dyn Error + Send + Sync>;

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made.
    pub made_at: Timestamp,
    /// Sessions in it.
    pub sessions: u64,
    /// Messages in it, both directions.
    pub messages: u64,
    /// Events in it.
    pub events: u64,
    /// Rows of protocol state that were not carried over.
    pub state_dropped: u64,
    /// All rows that were written.
    pub written: Progress,
}
