//! Owns the seam between repositories and a database. Promises three things over plain values and rows: `execute`,
//! `query` and a transaction (with savepoints for the writer's groups). Never builds SQL and never nests transactions.
//!
//! There are to be two dialects. SQLite is here; PostgreSQL takes the second variant of [`Connection`], and the
//! callers' `async` is there for it: on SQLite every future of a statement is ready at its first poll.

#[cfg(test)]
pub(crate) mod plans;
pub(crate) mod sqlite;
pub(crate) mod value;

use crate::error::StorageError;
use value::{Param, Row};

/// A connection of one of the dialects, owned by whoever runs transactions on it.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(sqlite::SqliteConnection),
}

impl Connection {
    /// Runs a statement and says how many rows it changed.
    #[expect(clippy::unused_async, reason = "SQLite answers at once; PostgreSQL will await here")]
    pub(crate) async fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StorageError> {
        match self {
            Self::Sqlite(connection) => connection.execute(sql, params),
        }
    }

    /// Runs a statement and returns its rows.
    #[expect(clippy::unused_async, reason = "SQLite answers at once; PostgreSQL will await here")]
    pub(crate) async fn query(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>, StorageError> {
        match self {
            Self::Sqlite(connection) => connection.query(sql, params),
        }
    }
}
