//! The database that is backed up, at one moment, beside its owner.

use super::file::schema_is_current;
use super::{BackupError, server};
use crate::config::StorageConfig;
use crate::driver::sqlite::SqliteConnection;
use crate::driver::value::params;
use crate::driver::{Connection, Sql};
use crate::error::{OpenError, StorageError};

const BEGIN: Sql = Sql {
    sqlite: "begin",
    // Differs: here every statement would see a moment of its own.
    postgres: "begin isolation level repeatable read read only",
};

/// A snapshot: what is committed later is not in it, and nobody waits for it.
pub(super) async fn snapshot(config: &StorageConfig) -> Result<Connection, BackupError> {
    let mut connection = match config.url.as_deref() {
        None => sqlite(config)?,
        Some(url) => server::source(url).await?,
    };
    connection.execute(BEGIN, &[]).await?;
    let network = meta(&mut connection, "network").await?;
    if network != config.network.as_str().as_bytes() {
        return Err(BackupError::Open(OpenError::OtherNetwork {
            found: String::from_utf8_lossy(&network).into_owned(),
            wanted: config.network.as_str().to_owned(),
        }));
    }
    Ok(connection)
}

/// Reads beside the writer of another process; the owner lock is not needed for that.
fn sqlite(config: &StorageConfig) -> Result<Connection, BackupError> {
    let path = config.dir.join("wharf.db");
    if !path.exists() {
        return Err(BackupError::NoDatabase(config.dir.clone()));
    }
    crate::open::check_header(&path)?;
    let sqlite = SqliteConnection::reader(&path).map_err(|error| match error {
        StorageError::Corrupt(_) => BackupError::Open(OpenError::Corrupt(path)),
        other => other.into(),
    })?;
    if schema_is_current(&sqlite)? {
        Ok(Connection::Sqlite(sqlite))
    } else {
        Err(BackupError::OldSchema)
    }
}

/// A value that every database has.
pub(super) async fn meta(connection: &mut Connection, key: &str) -> Result<Vec<u8>, StorageError> {
    let rows = connection
        .query("select value from meta where key = $1", params![key])
        .await?;
    let mut row = rows.into_iter().next().ok_or(StorageError::Unreadable("meta"))?;
    row.take()
}
