//! Owns the seam between repositories and a database. Promises three things over plain values and rows: `execute`,
//! `query` and a transaction (with savepoints for SQLite's groups). Never builds SQL and never nests transactions.
//!
//! There are two dialects and never a third. On SQLite every future of a statement is ready at its first poll.

#[cfg(test)]
pub(crate) mod plans;
pub(crate) mod postgres;
mod postgres_values;
pub(crate) mod sqlite;
pub(crate) mod value;

use crate::error::StorageError;
use value::{Param, Row};

/// A connection of one of the dialects, owned by whoever runs transactions on it.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(sqlite::SqliteConnection),
    Postgres(Box<postgres::PgConnection>),
}

/// A statement. Most have one text; where the dialects must differ, two stand side by side with the reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self {
            sqlite: text,
            postgres: text,
        }
    }
}

impl Connection {
    /// Runs a statement and says how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<u64, StorageError> {
        let sql = sql.into();
        match self {
            Self::Sqlite(connection) => connection.execute(sql.sqlite, params),
            Self::Postgres(connection) => connection.execute(sql.postgres, params).await,
        }
    }

    /// Runs a statement whose answer nobody asks for. Where that saves the wait for it, an error comes with the next
    /// statement or with the commit.
    pub(crate) async fn send(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<(), StorageError> {
        let sql = sql.into();
        match self {
            Self::Sqlite(connection) => connection.execute(sql.sqlite, params).map(drop),
            Self::Postgres(connection) => connection.send(sql.postgres, params).await,
        }
    }

    /// Runs a statement and returns its rows.
    pub(crate) async fn query(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<Vec<Row>, StorageError> {
        let sql = sql.into();
        match self {
            Self::Sqlite(connection) => connection.query(sql.sqlite, params),
            Self::Postgres(connection) => connection.query(sql.postgres, params).await,
        }
    }
}
