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

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "base",
        sqlite: include_str!("../migrations/sqlite/0001_base.sql"),
        postgres: include_str!("../migrations/postgres/0001_base.sql"),
    },
    Migration {
        version: 2,
        name: "session_fingerprint",
        sqlite: include_str!("../migrations/sqlite/0002_session_fingerprint.sql"),
        postgres: include_str!("../migrations/postgres/0002_session_fingerprint.sql"),
    },
    Migration {
        version: 3,
        name: "session_moves",
        sqlite: include_str!("../migrations/sqlite/0003_session_moves.sql"),
        postgres: include_str!("../migrations/postgres/0003_session_moves.sql"),
    },
    Migration {
        version: 4,
        name: "audit",
        sqlite: include_str!("../migrations/sqlite/0004_audit.sql"),
        postgres: include_str!("../migrations/postgres/0004_audit.sql"),
    },
    Migration {
        version: 5,
        name: "vault",
        sqlite: include_str!("../migrations/sqlite/0005_vault.sql"),
        postgres: include_str!("../migrations/postgres/0005_vault.sql"),
    },
    Migration {
        version: 6,
        name: "verifications",
        sqlite: include_str!("../migrations/sqlite/0006_verifications.sql"),
        postgres: include_str!("../migrations/postgres/0006_verifications.sql"),
    },
    Migration {
        version: 7,
        name: "receptions",
        sqlite: include_str!("../migrations/sqlite/0007_receptions.sql"),
        postgres: include_str!("../migrations/postgres/0007_receptions.sql"),
    },
    Migration {
        version: 8,
        name: "verifications_by_workspace",
        sqlite: include_str!("../migrations/sqlite/0008_verifications_by_workspace.sql"),
        postgres: include_str!("../migrations/postgres/0008_verifications_by_workspace.sql"),
    },
    Migration {
        version: 9,
        name: "verification_stats",
        sqlite: include_str!("../migrations/sqlite/0009_verification_stats.sql"),
        postgres: include_str!("../migrations/postgres/0009_verification_stats.sql"),
    },
    Migration {
        version: 10,
        name: "key_rotation",
        sqlite: include_str!("../migrations/sqlite/0010_key_rotation.sql"),
        postgres: include_str!("../migrations/postgres/0010_key_rotation.sql"),
    },
    Migration {
        version: 11,
        name: "plans",
        sqlite: include_str!("../migrations/sqlite/0011_plans.sql"),
        postgres: include_str!("../migrations/postgres/0011_plans.sql"),
    },
    Migration {
        version: 12,
        name: "otp_texts",
        sqlite: include_str!("../migrations/sqlite/0012_otp_texts.sql"),
        postgres: include_str!("../migrations/postgres/0012_otp_texts.sql"),
    },
    Migration {
        version: 13,
        name: "audit_plan",
        sqlite: include_str!("../migrations/sqlite/0013_audit_plan.sql"),
        postgres: include_str!("../migrations/postgres/0013_audit_plan.sql"),
    },
];

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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What stands in a session's row, whatever its version.
    pub(crate) const ROWS: &str = "select name, status, created_at from sessions order by seq";

    /// A workspace and two sessions as version 1 has them; an id is a number in the dialect's notation of bytes.
    pub(crate) fn seed(id: fn(u8) -> String) -> String {
        let (workspace, one, two) = (id(1), id(2), id(3));
        format!(
            "insert into workspaces (id, name, created_at) values ({workspace}, 'w', 1);
             insert into sessions (id, workspace_id, name, network, wanted, status, status_since, unlinked_at, created_at,
                 updated_at)
             values ({one}, {workspace}, 'linked', 'sandbox', 'connected', 'ready', 1, null, 2, 3),
                    ({two}, {workspace}, 'unlinked', 'sandbox', 'stopped', 'disconnected', 1, 9, 4, 5)"
        )
    }

    /// A verification with a message and a check, as version 7 has them.
    pub(crate) fn seed_code(id: fn(u8) -> String) -> String {
        let (workspace, session, verification, message) = (id(1), id(2), id(4), id(5));
        format!(
            "insert into verifications (id, workspace_id, session_id, phone_index, purpose, status, mac, phone, template,
                 locale, length, max_attempts, sends, max_sends, next_send_at, expires_at, keep_until, due_at, created_at)
             values ({verification}, {workspace}, {session}, {message}, 'login', 'pending', {message}, {message},
                 'default', 'en', 6, 5, 1, 5, 1, 2, 3, 2, 1);
             insert into verification_sends (verification_id, workspace_id, session_id, message_id, n, at, phone_index,
                 prefix_index, status)
             values ({verification}, {workspace}, {session}, {message}, 1, 1, {message}, {message}, 'sent');
             insert into verification_checks (verification_id, at, result) values ({verification}, 2, 'incorrect')"
        )
    }

    /// What stands in its rows, found by their keys of today.
    pub(crate) fn codes(id: fn(u8) -> String) -> String {
        let workspace = id(1);
        format!(
            "select v.purpose, c.result, s.n from verifications v
             join verification_sends s on s.workspace_id = v.workspace_id and s.verification_id = v.id
             join verification_checks c on c.workspace_id = v.workspace_id and c.verification_id = v.id
             where v.workspace_id = {workspace} and v.id = {}",
            id(4)
        )
    }

    fn in_hex(id: u8) -> String {
        format!("x'{id:032x}'")
    }

    fn rows(connection: &SqliteConnection, sql: &str) -> Vec<(String, String, i64)> {
        let rows = connection.query(sql, &[]).unwrap().into_iter();
        rows.map(|mut row| (row.take().unwrap(), row.take().unwrap(), row.take().unwrap()))
            .collect()
    }

    #[test]
    fn a_database_of_version_1_keeps_its_rows() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("old.db");
        std::fs::write(&file, b"").unwrap();
        let connection = SqliteConnection::draft(&file).unwrap();
        let now = Timestamp::from_millis(7);
        apply(&connection, &MIGRATIONS[..1], now).unwrap();
        connection.batch(&seed(in_hex)).unwrap();
        let before = rows(&connection, ROWS);
        assert_eq!(before.len(), 2);
        apply(&connection, MIGRATIONS, now).unwrap();
        assert_eq!(rows(&connection, ROWS), before);
        check(&connection, MIGRATIONS).unwrap();
        apply(&connection, MIGRATIONS, now).unwrap();
    }

    #[test]
    fn codes_of_version_7_are_kept_and_go_with_their_verification() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("old.db");
        std::fs::write(&file, b"").unwrap();
        let connection = SqliteConnection::draft(&file).unwrap();
        let now = Timestamp::from_millis(7);
        apply(&connection, &MIGRATIONS[..7], now).unwrap();
        connection.batch(&seed(in_hex)).unwrap();
        connection.batch(&seed_code(in_hex)).unwrap();
        apply(&connection, MIGRATIONS, now).unwrap();
        let kept = [("login".to_owned(), "incorrect".to_owned(), 1)];
        assert_eq!(rows(&connection, &codes(in_hex)), kept);
        connection.batch("delete from verifications").unwrap();
        for table in ["verification_sends", "verification_checks"] {
            let count = format!("select count(*) from {table} where workspace_id = {}", in_hex(1));
            let left = connection.query(&count, &[]).unwrap();
            assert_eq!(left.into_iter().next().unwrap().take::<i64>().unwrap(), 0, "{table}");
        }
    }
}
