//! Migrations: append-only, numbered, checked. Promises that what was applied is what this build holds, and that a
//! database of a newer build is refused before anything is written. Both dialects have the same numbers and names; the
//! half that speaks to PostgreSQL is in `crate::postgres::migrate`.

use sha2::{Digest, Sha256};
use wharf_model::Timestamp;

use crate::driver::sqlite::SqliteConnection;
use crate::driver::value::params;
use crate::error::{OpenError, StorageError};

/// One step; both dialects have the same number and name.
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// The number and the checksum of a step that a database has.
pub(crate) type Applied = (i64, [u8; 32]);

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "base",
    sqlite: include_str!("../migrations/sqlite/0001_base.sql"),
    postgres: include_str!("../migrations/postgres/0001_base.sql"),
}];

const APPLIED: &str = "
create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    checksum blob not null,
    applied_at integer not null
) strict";

pub(crate) fn checksum(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Compares what was applied with what this build holds, in the dialect that `text` picks.
pub(crate) fn compare(
    applied: &[Applied],
    known: &[Migration],
    text: fn(&Migration) -> &'static str,
) -> Result<(), OpenError> {
    let newest = known.last().map_or(0, |migration| migration.version);
    for (version, found) in applied {
        let Some(migration) = known.iter().find(|migration| migration.version == *version) else {
            return Err(OpenError::FromTheFuture {
                found: *version,
                known: newest,
            });
        };
        if *found != checksum(text(migration)) {
            return Err(OpenError::MigrationChanged(*version));
        }
    }
    Ok(())
}

/// Compares what an open file has with what this build holds. Writes nothing.
pub(crate) fn check(connection: &SqliteConnection, known: &[Migration]) -> Result<(), OpenError> {
    compare(&applied(connection).map_err(database)?, known, |migration| {
        migration.sqlite
    })
}

/// Applies what is missing, each step in its own transaction.
pub(crate) fn apply(connection: &SqliteConnection, known: &[Migration], now: Timestamp) -> Result<(), OpenError> {
    connection.batch(APPLIED).map_err(database)?;
    let done = applied(connection).map_err(database)?;
    for migration in known
        .iter()
        .filter(|migration| !done.iter().any(|(version, _)| *version == migration.version))
    {
        step(connection, migration, now).map_err(|source| OpenError::Migration {
            version: migration.version,
            source: std::sync::Arc::new(source),
        })?;
    }
    Ok(())
}

fn step(connection: &SqliteConnection, migration: &Migration, now: Timestamp) -> Result<(), StorageError> {
    connection.batch("begin immediate")?;
    let done = connection.batch(migration.sqlite).and_then(|()| {
        connection.execute(
            "insert into schema_migrations (version, name, checksum, applied_at) values ($1, $2, $3, $4)",
            params![migration.version, migration.name, &checksum(migration.sqlite), now],
        )
    });
    match done {
        Ok(_) => connection.batch("commit"),
        Err(error) => {
            connection.batch("rollback")?;
            Err(error)
        }
    }
}

fn applied(connection: &SqliteConnection) -> Result<Vec<Applied>, StorageError> {
    connection
        .query("select version, checksum from schema_migrations order by version", &[])?
        .into_iter()
        .map(|mut row| Ok((row.take()?, row.take()?)))
        .collect()
}

fn database(error: StorageError) -> OpenError {
    OpenError::Database(std::sync::Arc::new(error))
}
