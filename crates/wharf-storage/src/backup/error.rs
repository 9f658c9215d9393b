//! Why a backup or a restore did not come about.

use std::path::PathBuf;

use super::Unreadable;
use crate::error::{OpenError, SealError, StorageError};

/// One sentence for the person at the terminal. Where it says nothing else, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file of this name is there.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// There is nothing to back up.
    #[error("there is no database in {0}")]
    NoDatabase(PathBuf),
    /// The database was last used by an older version.
    #[error("the database is of an older version: start this version on it once, then back it up")]
    OldSchema,
    /// The database that is to be backed up cannot be used, or the place that is to be restored into is in use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Not one of ours.
    #[error("{0} is not a Wharf backup")]
    NotABackup(PathBuf),
    /// A database file was given where a backup is needed.
    #[error("{0} is a database and not a backup: `wharf backup` makes one from it")]
    IsADatabase(PathBuf),
    /// Checked, and not what it was when it was made.
    #[error("the backup {0} is damaged; nothing was restored")]
    Damaged(PathBuf),
    /// A newer version made it.
    #[error("the backup is of a newer version (schema {found}, this build knows {known})")]
    FromTheFuture {
        /// The newest migration in the backup.
        found: i64,
        /// The newest migration in this build.
        known: i64,
    },
    /// An older version made it, and this build does not bring backups up to date.
    #[error("the backup {0} is of an older version: restore it with that version, then start this one on it")]
    OldBackup(PathBuf),
    /// A sandbox backup met a build for the real network, or the reverse.
    #[error("the backup belongs to the {found} network and this build speaks to {wanted}")]
    OtherNetwork {
        /// What the backup says.
        found: String,
        /// What the build is.
        wanted: String,
    },
    /// There is no key to try.
    #[error("the backup opens with its master key only: put the key file at {file}, or set storage.master_key")]
    MasterKeyMissing {
        /// Where the key is looked for.
        file: PathBuf,
    },
    /// The key is another one.
    #[error("the master key does not open the backup {0}")]
    WrongMasterKey(PathBuf),
    /// Data are there already.
    #[error("{0} holds a database already: a backup is restored into an empty place only")]
    NotEmpty(String),
    /// Protocol state that its owner does not understand.
    #[error("the protocol state of a session cannot be carried over; nothing was restored")]
    State(#[source] Unreadable),
    /// A file could not be used.
    #[error("cannot use {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database said no.
    #[error("the copy failed")]
    Database(#[from] StorageError),
}

impl From<SealError> for BackupError {
    fn from(error: SealError) -> Self {
        Self::Database(error.into())
    }
}
