//! PostgreSQL through tokio-postgres: prepared statements, transactions that cost as few round trips as they can, and
//! the mapping of its codes to our errors.
//!
//! What a unit waits for is the road to the server and back. `begin` travels with the first statement, statements whose
//! answer nobody asks for travel with the next one, and the last of them travel with the commit.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, join, join_all, ready};
use futures::{FutureExt, TryStreamExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Statement};

use super::postgres_values::{Bound, Owned, read_row};
use super::value::{Param, Row};
use crate::error::{Cause, StorageError};

type Failure = tokio_postgres::Error;

/// One connection. Whoever drops it inside a transaction closes it, and the server rolls back.
pub(crate) struct PgConnection {
    client: Arc<Client>,
    statements: HashMap<&'static str, Statement>,
    /// The text that begins a transaction, until the first statement takes it along.
    begin: Option<&'static str>,
    unanswered: Vec<BoxFuture<'static, Result<(), Failure>>>,
    /// A statement failed: the server will not commit.
    failed: bool,
    waiting: Waiting,
}

/// Whether the connection waits for the server, and for how long at most. A unit that is pending while it does not waits
/// for something else.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    on: Arc<AtomicBool>,
    limit: Duration,
}

impl PgConnection {
    /// On an open connection. Whoever waits longer than `limit` for an answer gives it up: nothing that is asked takes
    /// that long.
    pub(crate) fn new(client: Client, limit: Duration) -> Self {
        Self {
            client: Arc::new(client),
            statements: HashMap::new(),
            begin: None,
            unanswered: Vec::new(),
            failed: false,
            waiting: Waiting {
                on: Arc::default(),
                limit,
            },
        }
    }

    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// For statements of more than one step, such as a migration.
    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Begins a transaction with the statement that comes first.
    pub(crate) fn begin(&mut self, text: &'static str) {
        self.begin = Some(text);
        self.failed = false;
    }

    pub(crate) async fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StorageError> {
        Ok(self.run(sql, params).await?.1)
    }

    pub(crate) async fn query(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>, StorageError> {
        Ok(self.run(sql, params).await?.0)
    }

    /// Sends a statement and does not wait. Its parameters are copied: they outlive the call.
    pub(crate) async fn send(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<(), StorageError> {
        let statement = self.statement(sql, params.len()).await?;
        self.send_begin();
        let owned: Vec<Owned> = params.iter().map(|param| Owned::from(*param)).collect();
        let client = Arc::clone(&self.client);
        self.send_now(async move {
            let rows = client.query_raw(&statement, owned.iter().map(Owned::bound)).await?;
            pin!(rows).try_for_each(|_| ready(Ok(()))).await
        });
        Ok(())
    }

    /// Commits, and says which transaction it was if that is asked for.
    pub(crate) async fn commit(&mut self, name_it: bool) -> Result<Option<u64>, StorageError> {
        if self.failed {
            return Err(internal(Given("the transaction was given up by the database")));
        }
        if let Some(begin) = self.begin.take() {
            // Nothing was written; that the server answers is all that such a unit proves.
            debug_assert!(!name_it && begin.starts_with("begin"));
            let asked = self.waiting.during(self.client.batch_execute("select")).await?;
            return asked.map(|()| None).map_err(from_postgres);
        }
        let name = if name_it {
            Some(self.statement("select pg_current_xact_id()::text", 0).await?)
        } else {
            None
        };
        let unanswered = std::mem::take(&mut self.unanswered);
        let naming = async {
            match &name {
                None => Ok(None),
                Some(statement) => self.client.query_one(statement, &[]).await.map(Some),
            }
        };
        let (before, (name, committed)) = self
            .waiting
            .during(join(
                join_all(unanswered),
                join(naming, self.client.batch_execute("commit")),
            ))
            .await?;
        // A transaction that failed is rolled back by its commit, without an error: the failure stands before it.
        before.into_iter().collect::<Result<(), _>>().map_err(from_postgres)?;
        let name = name.map_err(from_postgres)?;
        committed.map_err(from_postgres)?;
        let text: Option<String> = name.map(|row| row.try_get(0)).transpose().map_err(from_postgres)?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Gives the transaction up. An error means that the connection is of no use any more.
    pub(crate) async fn rollback(&mut self) -> Result<(), StorageError> {
        self.unanswered.clear();
        if self.begin.take().is_some() {
            return Ok(());
        }
        let rolled_back = self.waiting.during(self.client.batch_execute("rollback")).await?;
        rolled_back.map_err(from_postgres)
    }

    async fn run(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<(Vec<Row>, u64), StorageError> {
        let statement = self.statement(sql, params.len()).await?;
        self.send_begin();
        let unanswered = std::mem::take(&mut self.unanswered);
        let question = async {
            let mut rows = pin!(
                self.client
                    .query_raw(&statement, params.iter().map(|param| Bound(*param)))
                    .await?
            );
            let mut found = Vec::new();
            while let Some(row) = rows.try_next().await? {
                found.push(row);
            }
            Ok::<_, Failure>((found, rows.rows_affected().unwrap_or(0)))
        };
        let answered = self.waiting.during(join(join_all(unanswered), question)).await;
        self.failed |= answered.is_err();
        let (before, answer) = answered?;
        let before = before.into_iter().collect::<Result<(), _>>();
        let answered = before.and(answer).map_err(from_postgres);
        self.failed |= answered.is_err();
        let (rows, changed) = answered?;
        Ok((rows.iter().map(read_row).collect::<Result<_, _>>()?, changed))
    }

    fn send_begin(&mut self) {
        if let Some(begin) = self.begin.take() {
            let client = Arc::clone(&self.client);
            self.send_now(async move { client.batch_execute(begin).await });
        }
    }

    /// The first poll puts a request on its way; requests are answered in their order.
    fn send_now(&mut self, request: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        let mut request = request.boxed();
        let at_once = request.as_mut().now_or_never();
        self.unanswered.push(match at_once {
            Some(result) => ready(result).boxed(),
            None => request,
        });
    }

    async fn statement(&mut self, sql: &'static str, given: usize) -> Result<Statement, StorageError> {
        if let Some(statement) = self.statements.get(sql) {
            check_count(statement.params().len(), given)?;
            return Ok(statement.clone());
        }
        check_count(placeholders(sql, given)?, given)?;
        #[cfg(test)]
        super::plans::SEEN_BY_POSTGRES.lock().unwrap().insert(sql.to_owned());
        // What is on its way is listened to meanwhile: an answer that nobody takes holds up those behind it, and a
        // statement that was refused says more than that nothing can be prepared after it.
        let unanswered = std::mem::take(&mut self.unanswered);
        let answered = self
            .waiting
            .during(join(join_all(unanswered), self.client.prepare(sql)))
            .await;
        self.failed |= answered.is_err();
        let (before, prepared) = answered?;
        let before = before.into_iter().collect::<Result<(), _>>();
        let prepared = before.and(prepared);
        self.failed |= prepared.is_err() && self.begin.is_none();
        let statement = prepared.map_err(from_postgres)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }
}

impl Waiting {
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    async fn during<T>(&self, answer: impl Future<Output = T>) -> Result<T, StorageError> {
        self.on.store(true, Ordering::Relaxed);
        let answer = tokio::time::timeout(self.limit, answer).await;
        self.on.store(false, Ordering::Relaxed);
        answer.map_err(|_elapsed| StorageError::Unavailable(Arc::new(Given("the database does not answer"))))
    }
}

/// How many parameters a text takes. PostgreSQL would guess the type of one that is left out; SQLite has no such.
fn placeholders(sql: &str, given: usize) -> Result<usize, StorageError> {
    let numbers: BTreeSet<usize> = sql
        .split('$')
        .skip(1)
        .filter_map(|rest| {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            rest[..digits].parse().ok()
        })
        .collect();
    let expected = numbers.len();
    if numbers.last().copied().unwrap_or(0) == expected {
        Ok(expected)
    } else {
        Err(StorageError::WrongParameterCount { expected, given })
    }
}

fn check_count(expected: usize, given: usize) -> Result<(), StorageError> {
    if expected == given {
        Ok(())
    } else {
        Err(StorageError::WrongParameterCount { expected, given })
    }
}

impl std::fmt::Debug for PgConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgConnection").finish_non_exhaustive()
    }
}

/// What the server said, without the detail: that repeats the values of a row.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({code})")]
struct Said {
    code: String,
    message: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Given(&'static str);

fn internal(reason: impl std::error::Error + Send + Sync + 'static) -> StorageError {
    StorageError::Internal(Arc::new(reason))
}

/// What a code of PostgreSQL means to a caller.
pub(crate) fn from_postgres(error: Failure) -> StorageError {
    let Some(said) = error.as_db_error() else {
        // Without a word of the server there is no connection, or there was a fault in encoding.
        let lost = error.is_closed() || source_is_io(&error) || error.to_string().contains("connecting");
        let cause: Cause = Arc::new(error);
        return if lost {
            StorageError::Unavailable(cause)
        } else {
            StorageError::Internal(cause)
        };
    };
    let cause: Cause = Arc::new(Said {
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
    });
    match said.code() {
        &SqlState::UNIQUE_VIOLATION => StorageError::Conflict {
            constraint: columns(said),
        },
        &SqlState::FOREIGN_KEY_VIOLATION => StorageError::NotFound("row that this one belongs to"),
        &SqlState::DISK_FULL => StorageError::Full(cause),
        &SqlState::READ_ONLY_SQL_TRANSACTION => StorageError::ReadOnly(cause),
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => StorageError::Corrupt(cause),
        &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED | &SqlState::LOCK_NOT_AVAILABLE => {
            StorageError::Contended(cause)
        }
        code if is_outage(code) => StorageError::Unavailable(cause),
        _ => StorageError::Internal(cause),
    }
}

/// The server goes, comes, has no room for a connection or was told to drop this one.
fn is_outage(code: &SqlState) -> bool {
    let outages = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::QUERY_CANCELED,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    outages.contains(code) || code.code().starts_with("08")
}

fn source_is_io(error: &Failure) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

/// `Key (hash)=(...) already exists.` names columns before the first `)`; what follows is values, and stays here.
fn columns(said: &tokio_postgres::error::DbError) -> String {
    let named = said
        .detail()
        .and_then(|detail| detail.split_once('(')?.1.split_once(")="));
    match (said.table(), named) {
        (Some(table), Some((names, _))) => names
            .split(", ")
            .map(|name| format!("{table}.{name}"))
            .collect::<Vec<_>>()
            .join(", "),
        _ => said.constraint().unwrap_or("key").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_testkit::postgres::fresh_shared_database;

    /// The library puts a few pieces of an answer aside for whoever asked, and reads nothing more until they are taken.
    #[tokio::test]
    async fn an_answer_that_nobody_takes_holds_up_no_other() {
        let (client, connection) = tokio_postgres::connect(&fresh_shared_database(), tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut connection = PgConnection::new(client, Duration::from_secs(10));
        connection.begin("begin");
        let long = "select repeat('x', 100000) from generate_series(1, 10)";
        connection.send(long, &[]).await.unwrap();
        assert_eq!(connection.query("select 1::bigint", &[]).await.unwrap().len(), 1);
        connection.send(long, &[]).await.unwrap();
        assert!(connection.commit(true).await.unwrap().is_some());
    }
}
