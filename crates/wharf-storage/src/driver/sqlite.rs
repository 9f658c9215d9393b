//! SQLite through rusqlite: opening with the pragmas that the promises rest on, binding, cached statements, and the
//! mapping of SQLite's result codes to our errors.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ErrorCode, OpenFlags};

use super::value::{Param, Row, Value};
use crate::config::Durability;
use crate::error::StorageError;

/// How many prepared statements a connection keeps: more than all repositories together have.
const STATEMENTS: usize = 256;

#[derive(Debug)]
pub(crate) struct SqliteConnection {
    inner: rusqlite::Connection,
}

impl SqliteConnection {
    /// The connection of the writer thread.
    pub(crate) fn writer(path: &Path, durability: Durability) -> Result<Self, StorageError> {
        let connection = Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.batch(match durability {
            // journal_mode answers with a row, which `batch` reads and drops.
            Durability::Power => "pragma journal_mode = wal; pragma synchronous = full;",
            Durability::Process => "pragma journal_mode = wal; pragma synchronous = normal;",
        })?;
        // A log of 16 MB, not 4: a full group writes 1 MB, and every checkpoint writes pages that the next one writes
        // again. Measured as a quarter more messages accepted; longer logs gain little and slow down single commits.
        connection.batch("pragma wal_autocheckpoint = 4000;")?;
        // Deleted content is overwritten with zeros: the promise of shredding rests on it.
        connection.batch("pragma secure_delete = on; pragma temp_store = memory; pragma cache_size = -16000;")?;
        Ok(connection)
    }

    /// A connection that can only read.
    pub(crate) fn reader(path: &Path) -> Result<Self, StorageError> {
        let connection = Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.batch("pragma query_only = on; pragma cache_size = -8000;")?;
        Ok(connection)
    }

    /// The connection of the writer thread to a database in memory. Readers wait while a unit of work runs: there is no
    /// log that would keep the state of before for them.
    pub(crate) fn memory_writer(name: &str) -> Result<Self, StorageError> {
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = Self::open(&memory(name), access | OpenFlags::SQLITE_OPEN_URI)?;
        connection.batch("pragma journal_mode = memory; pragma secure_delete = on; pragma temp_store = memory;")?;
        connection.batch(SMALL_CACHE)?;
        Ok(connection)
    }

    /// A connection that can only read, to a database in memory.
    pub(crate) fn memory_reader(name: &str) -> Result<Self, StorageError> {
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI;
        let connection = Self::open(&memory(name), access)?;
        connection.batch("pragma query_only = on;")?;
        connection.batch(SMALL_CACHE)?;
        Ok(connection)
    }

    /// A connection for filling a new file: a rollback journal, so that one file is all there is when it closes.
    pub(crate) fn draft(path: &Path) -> Result<Self, StorageError> {
        let connection = Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.batch("pragma journal_mode = delete; pragma synchronous = full;")?;
        Ok(connection)
    }

    /// Reads a file as if it stood on a read-only medium: no locks, no log, nothing created.
    pub(crate) fn immutable(path: &Path) -> Result<Self, StorageError> {
        let uri = format!("file:{}?immutable=1", percent_encoded(path));
        Self::open(
            Path::new(&uri),
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        )
    }

    /// Reads a file with its log, keeping the log's index in memory and leaving the log alone at the end.
    pub(crate) fn traceless(path: &Path) -> Result<Self, StorageError> {
        let connection = Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection
            .inner
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(from_sqlite)?;
        connection.batch("pragma locking_mode = exclusive; pragma query_only = on;")?;
        Ok(connection)
    }

    fn open(path: &Path, access: OpenFlags) -> Result<Self, StorageError> {
        let inner = rusqlite::Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(from_sqlite)?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS);
        // Plans do not depend on what is bound. Without this SQLite prepares anew, at a step, whatever statement could use a
        // partial index for some values: measured as a fifth of the time of the readers.
        inner
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(from_sqlite)?;
        let connection = Self { inner };
        // The owner lock keeps other processes out; the timeout is for a checkpoint that meets a reader.
        connection.batch("pragma busy_timeout = 5000; pragma foreign_keys = on; pragma trusted_schema = off;")?;
        Ok(connection)
    }

    /// Runs several statements without parameters.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StorageError> {
        self.inner.execute_batch(sql).map_err(from_sqlite)
    }

    pub(crate) fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StorageError> {
        let mut statement = self.prepare(sql, params)?;
        statement
            .raw_execute()
            .map(|changed| changed as u64)
            .map_err(from_sqlite)
    }

    pub(crate) fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StorageError> {
        let mut statement = self.prepare(sql, params)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(from_sqlite)? {
            let values = (0..columns)
                .map(|index| read_column(row, index))
                .collect::<Result<_, _>>()?;
            found.push(Row::new(values));
        }
        Ok(found)
    }

    /// Whether a transaction is open. SQLite ends one by itself when the disk is full or fails.
    pub(crate) fn in_transaction(&self) -> bool {
        !self.inner.is_autocommit()
    }

    /// Copies the whole write-ahead log into the database and cuts it to nothing.
    pub(crate) fn truncate_log(&self) -> Result<(), StorageError> {
        let blocked: i64 = self
            .inner
            .query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))
            .map_err(from_sqlite)?;
        if blocked == 0 { Ok(()) } else { Err(log_in_use()) }
    }

    fn prepare(&self, sql: &str, params: &[Param<'_>]) -> Result<CachedStatement<'_>, StorageError> {
        #[cfg(test)]
        super::plans::SEEN.lock().unwrap().insert(sql.to_owned());
        let mut statement = self.inner.prepare_cached(sql).map_err(from_sqlite)?;
        bind(&mut statement, params)?;
        Ok(statement)
    }
}

/// A database in memory need not be in memory once more for every connection.
const SMALL_CACHE: &str = "pragma cache_size = -256;";

/// A database that all connections of this process find under its name (SQLite's `memdb`).
fn memory(name: &str) -> PathBuf {
    PathBuf::from(format!("file:/{name}?vfs=memdb"))
}

fn log_in_use() -> StorageError {
    let text = "the write-ahead log is in use by a reader and could not be truncated";
    StorageError::Internal(Arc::from(Box::<dyn Error + Send + Sync>::from(text)))
}

/// A path inside a `file:` URI, where `?`, `#` and `%` would mean something else.
fn percent_encoded(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Binds `$n` to the n-th parameter. To SQLite `$1` is a name, numbered by first appearance, so the names are read.
fn bind(statement: &mut CachedStatement<'_>, params: &[Param<'_>]) -> Result<(), StorageError> {
    let expected = statement.parameter_count();
    let mismatch = StorageError::WrongParameterCount {
        expected,
        given: params.len(),
    };
    if expected != params.len() {
        return Err(mismatch);
    }
    for index in 1..=expected {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.get(1..)?.parse::<usize>().ok());
        // As many distinct names as parameters, each within range: every parameter is used exactly once.
        let Some(param) = number.and_then(|number| params.get(number.checked_sub(1)?)) else {
            return Err(mismatch);
        };
        statement
            .raw_bind_parameter(index, to_sqlite(*param))
            .map_err(from_sqlite)?;
    }
    Ok(())
}

fn to_sqlite(param: Param<'_>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match param {
        Param::Null => ValueRef::Null,
        Param::Integer(number) => ValueRef::Integer(number),
        Param::Text(text) => ValueRef::Text(text.as_bytes()),
        Param::Blob(bytes) => ValueRef::Blob(bytes),
    })
}

fn read_column(row: &rusqlite::Row<'_>, index: usize) -> Result<Value, StorageError> {
    match row.get_ref(index).map_err(from_sqlite)? {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Integer(number)),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Value::Text(text.to_owned())),
            Err(_) => Err(StorageError::Unreadable("text")),
        },
        ValueRef::Blob(bytes) => Ok(Value::Blob(bytes.to_vec())),
        ValueRef::Real(_) => Err(StorageError::Unreadable("value")),
    }
}

/// What a result code of SQLite means to a caller.
pub(crate) fn from_sqlite(error: rusqlite::Error) -> StorageError {
    let Some(code) = error.sqlite_error_code() else {
        return StorageError::Internal(Arc::new(error));
    };
    match code {
        ErrorCode::DiskFull => StorageError::Full(Arc::new(error)),
        ErrorCode::ReadOnly => StorageError::ReadOnly(Arc::new(error)),
        // A disk that fails, or that the system made read-only under an open file.
        ErrorCode::SystemIoFailure => StorageError::Unavailable(Arc::new(error)),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StorageError::Corrupt(Arc::new(error)),
        ErrorCode::ConstraintViolation if is_unique(&error) => StorageError::Conflict {
            constraint: columns(&error),
        },
        ErrorCode::ConstraintViolation if is_foreign_key(&error) => {
            StorageError::NotFound("row that this one belongs to")
        }
        _ => StorageError::Internal(Arc::new(error)),
    }
}

fn is_foreign_key(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|code| code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

fn is_unique(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE};
    error.sqlite_error().is_some_and(|code| {
        [
            SQLITE_CONSTRAINT_UNIQUE,
            SQLITE_CONSTRAINT_PRIMARYKEY,
            SQLITE_CONSTRAINT_ROWID,
        ]
        .contains(&code.extended_code)
    })
}

/// `UNIQUE constraint failed: api_keys.hash` names columns, never values: safe to show.
fn columns(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text
            .rsplit_once(": ")
            .map_or(text.as_str(), |(_, columns)| columns)
            .to_owned(),
        _ => "key".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_disk_that_takes_no_writes_is_an_outage_and_no_fault_of_ours() {
        let seen = |code| from_sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(seen(ffi::SQLITE_IOERR_WRITE), StorageError::Unavailable(_)));
        assert!(matches!(seen(ffi::SQLITE_IOERR_FSYNC), StorageError::Unavailable(_)));
        assert!(matches!(seen(ffi::SQLITE_FULL), StorageError::Full(_)));
        assert!(matches!(seen(ffi::SQLITE_READONLY), StorageError::ReadOnly(_)));
        assert!(matches!(seen(ffi::SQLITE_MISUSE), StorageError::Internal(_)));
    }
}
