//! Migrations on PostgreSQL: the same steps as on SQLite, each in a transaction and under a lock.

use std::sync::Arc;

use tokio_postgres::Client;
use wharf_model::Timestamp;

use crate::driver::postgres::from_postgres;
use crate::error::{OpenError, StorageError};
use crate::migrate::{Applied, Migration, checksum};

const LOCK: &str = "select pg_advisory_xact_lock(6289348700066021379)";

pub(crate) const APPLIED: &str = "
create table if not exists schema_migrations (
    version bigint primary key,
    name text not null,
    checksum bytea not null,
    applied_at bigint not null
)";

/// What was applied; fails on a table of that name that is not ours.
pub(crate) async fn applied(client: &Client) -> Result<Vec<Applied>, StorageError> {
    let sql = "select version, checksum from schema_migrations order by version";
    let rows = client.query(sql, &[]).await.map_err(from_postgres)?;
    rows.iter()
        .map(|row| {
            let checksum: Vec<u8> = row.try_get(1).map_err(from_postgres)?;
            let checksum = checksum.try_into().map_err(|_| StorageError::Unreadable("checksum"))?;
            Ok((row.try_get(0).map_err(from_postgres)?, checksum))
        })
        .collect()
}

/// Applies what is missing. A transaction is the caller's when it has one open.
pub(crate) async fn apply(client: &Client, known: &[Migration], now: Timestamp) -> Result<(), OpenError> {
    let done = applied(client)
        .await
        .map_err(|error| OpenError::Database(Arc::new(error)))?;
    for migration in known
        .iter()
        .filter(|migration| !done.iter().any(|(version, _)| *version == migration.version))
    {
        in_transaction(client, step(client, migration, now))
            .await
            .map_err(|source| OpenError::Migration {
                version: migration.version,
                source: Arc::new(source),
            })?;
    }
    Ok(())
}

/// Runs one step in the transaction that is open.
pub(crate) async fn step(client: &Client, migration: &Migration, now: Timestamp) -> Result<(), StorageError> {
    client.batch_execute(LOCK).await.map_err(from_postgres)?;
    client.batch_execute(migration.postgres).await.map_err(from_postgres)?;
    let (name, checksum, now) = (migration.name, checksum(migration.postgres), now.as_millis());
    client
        .execute(
            "insert into schema_migrations (version, name, checksum, applied_at) values ($1, $2, $3, $4)",
            &[&migration.version, &name, &checksum.as_slice(), &now],
        )
        .await
        .map(drop)
        .map_err(from_postgres)
}

pub(crate) async fn in_transaction<T>(
    client: &Client,
    work: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    client.batch_execute("begin").await.map_err(from_postgres)?;
    match work.await {
        Ok(value) => client
            .batch_execute("commit")
            .await
            .map(|()| value)
            .map_err(from_postgres),
        Err(error) => {
            client.batch_execute("rollback").await.map_err(from_postgres)?;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::MIGRATIONS;
    use crate::migrate::tests::{ROWS, codes, seed, seed_code};

    fn in_hex(id: u8) -> String {
        format!("'\\x{id:032x}'::bytea")
    }

    async fn rows(client: &Client, sql: &str) -> Vec<(String, String, i64)> {
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    #[tokio::test]
    async fn a_database_of_version_1_keeps_its_rows() {
        let url = wharf_testkit::postgres::fresh_shared_database();
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let now = Timestamp::from_millis(7);
        client.batch_execute(APPLIED).await.unwrap();
        apply(&client, &MIGRATIONS[..1], now).await.unwrap();
        client.batch_execute(&seed(in_hex)).await.unwrap();
        let before = rows(&client, ROWS).await;
        assert_eq!(before.len(), 2);
        apply(&client, MIGRATIONS, now).await.unwrap();
        assert_eq!(rows(&client, ROWS).await, before);
        apply(&client, MIGRATIONS, now).await.unwrap();
    }

    #[tokio::test]
    async fn codes_of_version_7_are_kept_and_go_with_their_verification() {
        let url = wharf_testkit::postgres::fresh_shared_database();
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let now = Timestamp::from_millis(7);
        client.batch_execute(APPLIED).await.unwrap();
        apply(&client, &MIGRATIONS[..7], now).await.unwrap();
        client.batch_execute(&seed(in_hex)).await.unwrap();
        client.batch_execute(&seed_code(in_hex)).await.unwrap();
        apply(&client, MIGRATIONS, now).await.unwrap();
        let kept = [("login".to_owned(), "incorrect".to_owned(), 1)];
        assert_eq!(rows(&client, &codes(in_hex)).await, kept);
        client.batch_execute("delete from verifications").await.unwrap();
        for table in ["verification_sends", "verification_checks"] {
            let left = client
                .query_one(&format!("select count(*) from {table}"), &[])
                .await
                .unwrap();
            assert_eq!(left.get::<_, i64>(0), 0, "{table}");
        }
    }
}
