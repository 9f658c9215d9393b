//! Every way in which storage can refuse, told apart as far as a caller can act on it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// What lies behind an error. Shared, because one failed commit is the answer to every unit of its group.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a unit of work or a read came to nothing. Nothing of a failed unit is stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// A row with the same unique value is there already; `constraint` names the columns, never the values.
    #[error("a row with the same {constraint} exists")]
    Conflict {
        /// The columns that must be unique.
        constraint: String,
    },
    /// The row that the caller named does not exist, or belongs to another workspace.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// There is no room on the disk.
    #[error("the disk is full")]
    Full(#[source] Cause),
    /// The file, the disk or the transaction may only be read.
    #[error("the database cannot be written")]
    ReadOnly(#[source] Cause),
    /// The file does not hold what it should.
    #[error("the database file is damaged")]
    Corrupt(#[source] Cause),
    /// The database server is away, or this process does not own the database at the moment. Nothing is known to be
    /// wrong with the unit: it may be tried again once the database is there.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// The unit met another one on the same rows and was the one to give way. It may be tried again at once.
    #[error("the unit of work gave way to another one")]
    Contended(#[source] Cause),
    /// Storage was closed, or is closing.
    #[error("storage is closed")]
    Closed,
    /// The closure of the unit panicked; its savepoint was rolled back.
    #[error("the unit of work panicked")]
    UnitPanicked,
    /// The closure awaited a timer, a socket or a channel. On SQLite the writer polls a unit exactly once.
    #[error("unit of work awaited something other than its transaction")]
    AwaitedOutside,
    /// Another owner has taken this session over: this one must stop.
    #[error("stale epoch: the session has another owner now")]
    StaleEpoch,
    /// A statement and its parameters do not fit: a fault in this crate.
    #[error("the statement takes {expected} parameters and was given {given}")]
    WrongParameterCount {
        /// How many the text names.
        expected: usize,
        /// How many came.
        given: usize,
    },
    /// A stored value is not of the expected kind.
    #[error("stored {0} cannot be read")]
    Unreadable(&'static str),
    /// A sealed value cannot be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A list or event cursor that this workspace was never given.
    #[error("unknown cursor")]
    BadCursor,
    /// An event cursor from before the database was restored from a backup: what stood behind it is gone.
    #[error("the event cursor is from before the database was restored")]
    CursorExpired,
    /// The caller's own reason to roll its unit back; see [`StorageError::rejected`].
    #[error("the unit of work was given up by its caller")]
    Rejected(#[source] Cause),
    /// Anything else that the database said.
    #[error("the database failed")]
    Internal(#[source] Cause),
}

impl StorageError {
    /// Rolls the unit back for a reason of the caller's own, to be read again with [`Self::rejection`].
    pub fn rejected(reason: impl Error + Send + Sync + 'static) -> Self {
        Self::Rejected(Arc::new(reason))
    }

    /// The caller's own reason, when this is a rejection with a reason of type `E`.
    pub fn rejection<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Rejected(cause) => cause.downcast_ref::<E>(),
            _ => None,
        }
    }
}

/// Why a sealed value stayed shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes are not an envelope that this version knows.
    #[error("not a sealed value of a known version")]
    Malformed,
    /// Sealed under another key than the one at hand.
    #[error("sealed under another key")]
    OtherKey,
    /// Changed, or moved to another row or column.
    #[error("a sealed value was changed or moved")]
    Tampered,
    /// The key was destroyed, and with it what it sealed.
    #[error("the key was shredded")]
    Shredded,
}

/// Why storage did not open. Each is one sentence for the person at the terminal, and nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A second start.
    #[error("another wharf is using {0}")]
    Locked(PathBuf),
    /// The address of a database server is not understood. The address itself is a secret.
    #[error("the database address cannot be used: {0}")]
    BadAddress(&'static str),
    /// The server does not answer, or lets nobody in.
    #[error("the database server cannot be used")]
    Unreachable(#[source] Cause),
    /// The server is too old.
    #[error("the database server is PostgreSQL {0}; Wharf needs 13 or newer")]
    OldServer(String),
    /// A database on a server has no key file beside it.
    #[error("with PostgreSQL the master key must be given: set storage.master_key or storage.master_key_file")]
    MasterKeyRequired,
    /// The address of the database has a scheme that nobody knows.
    #[error("the database address must be a directory or start with postgres://")]
    UnknownAddress,
    /// The database is there and its key is not.
    #[error("the database in {dir} exists but its master key file {file} is missing")]
    MasterKeyMissing {
        /// Where the database is.
        dir: PathBuf,
        /// The file that should hold the key.
        file: PathBuf,
    },
    /// The key file does not hold 32 bytes as 64 hexadecimal digits.
    #[error("{0} does not hold a master key")]
    MasterKeyMalformed(PathBuf),
    /// The key is not the one that the database was made with.
    #[error("the master key does not open the database in {0}")]
    WrongMasterKey(PathBuf),
    /// The file is not a database, or damaged.
    #[error("{0} is damaged or not a database; it was left as it is")]
    Corrupt(PathBuf),
    /// A database of some other program.
    #[error("{0} is not a Wharf database")]
    Foreign(PathBuf),
    /// A backup stands where the database should be.
    #[error("{0} is a backup and not a database: `wharf restore` makes one from it")]
    IsABackup(PathBuf),
    /// Only the write-ahead log is there.
    #[error("{0} is missing but its write-ahead log is there; put the database file back")]
    DatabaseMissing(PathBuf),
    /// A newer Wharf wrote it.
    #[error("the database is of a newer version (schema {found}, this build knows {known})")]
    FromTheFuture {
        /// The newest migration in the database.
        found: i64,
        /// The newest migration in this build.
        known: i64,
    },
    /// An applied migration is not the one in this build.
    #[error("migration {0} was changed after it was applied")]
    MigrationChanged(i64),
    /// A build for the real network met a sandbox database, or the reverse.
    #[error("the database belongs to the {found} network and this build speaks to {wanted}")]
    OtherNetwork {
        /// What the database says.
        found: String,
        /// What the build is.
        wanted: String,
    },
    /// A migration did not run.
    #[error("migration {version} failed")]
    Migration {
        /// Its number.
        version: i64,
        /// What the database said.
        #[source]
        source: Cause,
    },
    /// A file or directory could not be used.
    #[error("cannot use {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Anything else that the database said.
    #[error("the database could not be opened")]
    Database(#[source] Cause),
}
