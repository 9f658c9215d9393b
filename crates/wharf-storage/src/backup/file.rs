//! Files: one that is being filled beside its name, and a backup that is being read.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use wharf_model::Timestamp;

use super::{APPLICATION_ID, BackupError};
use crate::driver::Connection;
use crate::driver::sqlite::SqliteConnection;
use crate::error::{OpenError, StorageError};
use crate::migrate::{self, MIGRATIONS};
use crate::open;
use crate::seal::file as key_file;

/// A new SQLite file of the current schema, in one open transaction. Removed when it is dropped unfinished.
pub(super) struct Draft {
    pub(super) connection: Connection,
    leftover: Leftover,
}

impl Draft {
    /// Readable by its owner only.
    pub(super) async fn create(path: PathBuf, application_id: u32, now: Timestamp) -> Result<Self, BackupError> {
        let leftover = Leftover(path);
        leftover
            .clear()
            .and_then(|()| key_file::private_file(&leftover.0))
            .map_err(|source| io(&leftover.0, source))?;
        let sqlite = SqliteConnection::draft(&leftover.0)?;
        sqlite.batch(match application_id {
            open::APPLICATION_ID => "pragma application_id = 0x57484152",
            _ => "pragma application_id = 0x57484142",
        })?;
        migrate::apply(&sqlite, MIGRATIONS, now)?;
        let mut connection = Connection::Sqlite(sqlite);
        connection.execute("begin immediate", &[]).await?;
        Ok(Self { connection, leftover })
    }

    /// Commits; what was written can be read back through the connection from here on.
    pub(super) async fn commit(&mut self) -> Result<(), StorageError> {
        self.connection.execute("commit", &[]).await.map(drop)
    }

    /// Gives the file its name. On the disk when this returns.
    pub(super) fn rename(self, name: &Path) -> Result<(), BackupError> {
        let Self { connection, leftover } = self;
        drop(connection);
        File::open(&leftover.0)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&leftover.0, name))
            .and_then(|()| key_file::sync_parent(name))
            .map_err(|source| io(name, source))
    }
}

/// A file that is not finished, and the journal that SQLite keeps beside it.
struct Leftover(PathBuf);

impl Leftover {
    fn clear(&self) -> std::io::Result<()> {
        let mut journal = self.0.clone().into_os_string();
        journal.push("-journal");
        key_file::remove_if_there(&self.0)?;
        key_file::remove_if_there(Path::new(&journal))
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        // Nothing is lost with it, and the next draft of this name clears it away first.
        let _ = self.clear();
    }
}

/// `FILE.new`, beside `FILE`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Opens a backup for reading, as on a read-only medium.
pub(super) fn open_backup(path: &Path) -> Result<SqliteConnection, BackupError> {
    match application_id(path)? {
        Some(APPLICATION_ID) => Ok(SqliteConnection::immutable(path)?),
        Some(open::APPLICATION_ID) => Err(BackupError::IsADatabase(path.to_owned())),
        _ => Err(BackupError::NotABackup(path.to_owned())),
    }
}

/// What kind of SQLite file it is; `None` when it is none at all.
fn application_id(path: &Path) -> Result<Option<u32>, BackupError> {
    let mut header = [0; 100];
    match File::open(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) if header[..16] == *open::MAGIC => {
            let [.., a, b, c, d] = header[..72] else {
                return Ok(None);
            };
            Ok(Some(u32::from_be_bytes([a, b, c, d])))
        }
        Ok(()) => Ok(None),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(source) => Err(io(path, source)),
    }
}

/// The migrations that were applied must be exactly those of this build.
pub(super) fn schema_is_current(sqlite: &SqliteConnection) -> Result<bool, OpenError> {
    migrate::check(sqlite, MIGRATIONS)?;
    let applied = sqlite
        .query("select version from schema_migrations", &[])
        .map_err(|error| OpenError::Database(std::sync::Arc::new(error)))?;
    Ok(applied.len() == MIGRATIONS.len())
}

pub(super) fn io(path: &Path, source: std::io::Error) -> BackupError {
    BackupError::Io {
        path: path.to_owned(),
        source,
    }
}
