//! PostgreSQL: a snapshot to copy from, and an empty database to fill. Each on a connection of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;

use super::BackupError;
use super::tables::TABLES;
use crate::config::StorageConfig;
use crate::driver::Connection;
use crate::driver::postgres::{PgConnection, from_postgres};
use crate::driver::value::params;
use crate::error::{OpenError, StorageError};
use crate::migrate::{Applied, MIGRATIONS, compare};
use crate::postgres::address::Address;
use crate::postgres::{migrate, open, tenure};

/// A statement of a backup may read or fill a whole table.
const ANSWER_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A connection, and the database's name for people.
async fn connect(url: &str) -> Result<(PgConnection, PathBuf), BackupError> {
    let address = Address::parse(url)?;
    let (client, driver) = address
        .connect()
        .await
        .map_err(from_postgres)
        .map_err(tenure::unreachable_server)?;
    tokio::spawn(driver.drive(None));
    client.batch_execute(tenure::SETTINGS).await.map_err(from_postgres)?;
    Ok((PgConnection::new(client, ANSWER_WITHIN), address.shown().into()))
}

/// The database that is backed up, of the schema of this build.
pub(super) async fn source(url: &str) -> Result<Connection, BackupError> {
    let (connection, place) = connect(url).await?;
    let client = connection.client();
    if open::is_fresh(&client, &place).await? {
        return Err(BackupError::NoDatabase(place));
    }
    let mut connection = Connection::Postgres(Box::new(connection));
    let applied = applied(&mut connection).await?;
    compare(&applied, MIGRATIONS, |migration| migration.postgres)?;
    if applied.len() == MIGRATIONS.len() {
        Ok(connection)
    } else {
        Err(BackupError::OldSchema)
    }
}

async fn applied(connection: &mut Connection) -> Result<Vec<Applied>, StorageError> {
    let sql = "select version, checksum from schema_migrations order by version";
    let rows = connection.query(sql, &[]).await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}

/// A database that is being filled, in one transaction on the connection that holds the owner's lock. Dropped
/// unfinished, it is as empty as before.
pub(super) struct Server {
    pub(super) connection: Connection,
    client: Arc<Client>,
}

impl Server {
    /// Takes the lock of an empty database. Writes nothing.
    pub(super) async fn take(url: &str) -> Result<Self, BackupError> {
        let (connection, place) = connect(url).await?;
        let client = connection.client();
        let mut connection = Connection::Postgres(Box::new(connection));
        let held = connection
            .query("select pg_try_advisory_lock($1)", params![tenure::OWNER])
            .await?;
        let held = held.into_iter().next().map_or(Ok(false), |mut row| row.take())?;
        if !held {
            return Err(BackupError::Open(OpenError::Locked(place)));
        }
        open::look_at_server(&client).await?;
        if open::is_fresh(&client, &place).await? {
            Ok(Self { connection, client })
        } else {
            Err(BackupError::NotEmpty(place.display().to_string()))
        }
    }

    /// Makes the schema. Nobody sees it before [`Self::finish`].
    pub(super) async fn begin(&mut self, config: &StorageConfig) -> Result<(), StorageError> {
        self.connection.execute("begin", &[]).await?;
        let made = self.client.batch_execute(migrate::APPLIED).await;
        made.map_err(from_postgres)?;
        for migration in MIGRATIONS {
            migrate::step(&self.client, migration, config.clock.now()).await?;
        }
        Ok(())
    }

    /// Lets the numbers go on behind those that were restored, and commits. The lock goes with the connection.
    pub(super) async fn finish(mut self) -> Result<(), StorageError> {
        for renumber in TABLES.iter().filter_map(|table| table.renumber) {
            self.connection.query(renumber, &[]).await?;
        }
        self.connection.execute("commit", &[]).await?;
        Ok(())
    }
}
