//! Every table, with the statements that read it in the order of its key and that write a row of it. A test compares
//! this list with the schema, so that no table and no column is forgotten.

use super::Progress;
use crate::driver::Connection;
use crate::driver::value::{FromValue, Param, Row, Value};
use crate::error::StorageError;

/// Rows that are in memory at a time. The cursors' texts say it too.
const BATCH: i64 = 256;

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Where to begin: less than every key.
    start: &'static [Start],
    /// How many columns a row has, without the key that stands in front of it.
    columns: usize,
    /// The columns of the key, then those of the row, behind a key.
    read: &'static str,
    /// On a server a cursor walks through the table: its order needs no index that begins with it.
    declare: &'static str,
    fetch: &'static str,
    /// Where the numbers go on that the server gives. None for what is numbered anew.
    pub(super) renumber: Option<&'static str>,
    pub(super) insert: &'static str,
}

/// The least value of a column.
#[derive(Clone, Copy, Debug)]
enum Start {
    Number,
    Text,
    Bytes,
}

impl Start {
    const fn value(self) -> Value {
        match self {
            Self::Number => Value::Integer(i64::MIN),
            Self::Text => Value::Text(String::new()),
            Self::Bytes => Value::Blob(Vec::new()),
        }
    }
}

macro_rules! table {
    ($name:literal, key $key:literal > $after:literal $start:expr, limit $limit:literal,
     $columns:literal, $count:literal $values:literal) => {
        table!($name, key $key > $after $start, limit $limit, order $key, $columns, $count $values)
    };
    ($name:literal, key $key:literal > $after:literal $start:expr, limit $limit:literal, order $order:literal,
     $columns:literal, $count:literal $values:literal) => {
        Table {
            name: $name,
            start: $start,
            columns: $count,
            read: concat!(
                "select ", $key, ", ", $columns, " from ", $name, " where (", $key, ") > (", $after, ") order by ",
                $key, " limit ", $limit
            ),
            declare: concat!(
                "declare backup_", $name, " no scroll cursor for select ", $columns, " from ", $name, " order by ",
                $order
            ),
            fetch: concat!("fetch forward 256 from backup_", $name),
            insert: concat!("insert into ", $name, " (", $columns, ") values (", $values, ")"),
            renumber: None,
        }
    };
}

/// A table whose rows keep the numbers that they were given.
macro_rules! numbered {
    ($name:literal, $columns:literal, $count:literal $values:literal) => {
        Table {
            renumber: Some(concat!(
                "select setval(pg_get_serial_sequence('", $name, "', 'seq'), max(seq)) from ", $name,
                " having max(seq) is not null"
            )),
            ..table!($name, key "seq" > "$1" &[Start::Number], limit "$2", $columns, $count $values)
        }
    };
}

/// In an order in which every row finds those that it belongs to. Events are numbered anew in their order.
pub(super) const TABLES: &[Table] = &[
    table!("meta", key "key" > "$1" &[Start::Text], limit "$2",
        "key, value", 2 "$1, $2"),
    table!("workspaces", key "id" > "$1" &[Start::Bytes], limit "$2",
        "id, name, created_at", 3 "$1, $2, $3"),
    table!("data_keys", key "id" > "$1" &[Start::Bytes], limit "$2",
        "id, owner_kind, owner_id, purpose, wrapped, created_at", 6 "$1, $2, $3, $4, $5, $6"),
    numbered!("plans",
        "seq, id, workspace_id, name, requests_per_second, messages_per_day, otps_per_day, sessions, created_at, updated_at",
        10 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10"),
    numbered!("api_keys",
        "seq, id, workspace_id, label, prefix, hash, scopes, ips, sessions, expires_at, usage_count, last_used_at, revoked_at, created_by, created_at, updated_at, previous_hash, previous_until, plan_id",
        19 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19"),
    table!("usage", key "workspace_id, key_id, day" > "$1, $2, $3" &[Start::Bytes, Start::Bytes, Start::Number],
        limit "$4",
        "workspace_id, key_id, day, messages, otps", 5 "$1, $2, $3, $4, $5"),
    numbered!("sessions",
        "seq, id, workspace_id, name, network, wanted, status, status_since, last_qr_at, authenticated_at, ready_at, auth_failed_at, disconnected_at, error, disconnect_reason, next_attempt_at, device, pacing, profile, metadata, proxy, owner, epoch, lease_until, unlinked_at, keys_shred_at, deleted_at, created_by, created_at, updated_at, fingerprint, exported_at, moving_since",
        33 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33"),
    numbered!("session_history",
        "seq, session_id, status, at, reason, error, next_attempt_at", 7 "$1, $2, $3, $4, $5, $6, $7"),
    numbered!("messages",
        "seq, id, workspace_id, session_id, direction, lane, kind, chat_index, sender_index, chat, peer, body, secret, metadata, whatsapp_id, status, code, attempts, due_at, expires_at, retry_at, created_at, updated_at, sent_at, delivered_at, read_at, template, locale",
        28 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28"),
    numbered!("message_status",
        "seq, message_id, status, at, code", 5 "$1, $2, $3, $4, $5"),
    numbered!("verifications",
        "seq, id, workspace_id, session_id, phone_index, purpose, status, mac, phone, metadata, template, locale, length, attempts, max_attempts, sends, max_sends, next_send_at, expires_at, undelivered_at, keep_until, due_at, created_at, finished_at, country, first_session_id, key_id",
        27 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27"),
    numbered!("verification_sends",
        "seq, verification_id, workspace_id, session_id, message_id, n, at, phone_index, prefix_index, client_index, key_id, status, code",
        13 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13"),
    numbered!("verification_checks",
        "seq, workspace_id, verification_id, at, result", 5 "$1, $2, $3, $4, $5"),
    table!("verification_failures", key "workspace_id, phone_index" > "$1, $2" &[Start::Bytes, Start::Bytes], limit "$3",
        "workspace_id, phone_index, failures", 3 "$1, $2, $3"),
    table!("receptions", key "id" > "$1" &[Start::Bytes], limit "$2",
        "id, workspace_id, session_id, text_index, phone_index, phone, purpose, metadata, status, expires_at, keep_until, due_at, created_at, finished_at",
        14 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14"),
    table!("verification_stats", key "workspace_id, day, country, purpose, session_id" > "$1, $2, $3, $4, $5"
        &[Start::Bytes, Start::Number, Start::Text, Start::Text, Start::Bytes], limit "$6",
        "workspace_id, day, country, purpose, session_id, created, sends, sent, delivered, read, approved, expired, failed, cancelled",
        14 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14"),
    table!("verification_latency", key "workspace_id, day, kind, bucket" > "$1, $2, $3, $4"
        &[Start::Bytes, Start::Number, Start::Text, Start::Number], limit "$5",
        "workspace_id, day, kind, bucket, count", 5 "$1, $2, $3, $4, $5"),
    table!("otp_texts", key "workspace_id, template, locale" > "$1, $2, $3" &[Start::Bytes, Start::Text, Start::Text],
        limit "$4",
        "workspace_id, template, locale, body, created_at, updated_at", 6 "$1, $2, $3, $4, $5, $6"),
    numbered!("audit",
        "seq, workspace_id, at, who, action, session_id, address, request_id, api_key_id, plan_id",
        10 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10"),
    table!("vault", key "hash" > "$1" &[Start::Bytes], limit "$2",
        "hash, workspace_id, session_id, content, link_hash, expires_at, created_at", 7 "$1, $2, $3, $4, $5, $6, $7"),
    table!("events", key "seq" > "$1" &[Start::Number], limit "$2", order "txid, seq",
        "id, workspace_id, session_id, kind, data, created_at", 6 "$1, $2, $3, $4, $5, $6"),
    table!("idempotency", key "workspace_id, key" > "$1, $2" &[Start::Bytes, Start::Text], limit "$3",
        "workspace_id, key, fingerprint, state, answer, created_at, expires_at", 7 "$1, $2, $3, $4, $5, $6, $7"),
    table!("wa_state", key "session_id, kind, key" > "$1, $2, $3" &[Start::Bytes, Start::Text, Start::Bytes],
        limit "$4",
        "session_id, kind, key, owner, rank, expires_at, value", 7 "$1, $2, $3, $4, $5, $6, $7"),
];

/// A row as the insert takes it.
pub(super) type Values = Vec<Value>;

/// Reads a table to its end, a few hundred rows at a time.
#[derive(Debug)]
pub(super) struct Reader {
    table: &'static Table,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Start,
    /// Behind this key.
    After(Values),
    /// Where the server's cursor is.
    Cursor,
    End,
}

impl Reader {
    pub(super) fn new(table: &'static Table) -> Self {
        Self {
            table,
            place: Place::Start,
        }
    }

    pub(super) async fn next(&mut self, connection: &mut Connection) -> Result<Option<Vec<Values>>, StorageError> {
        let rows = match connection {
            Connection::Sqlite(_) => self.after_key(connection).await?,
            Connection::Postgres(_) => self.of_cursor(connection).await?,
        };
        if (rows.len() as i64) < BATCH {
            self.place = Place::End;
        }
        Ok(if rows.is_empty() { None } else { Some(rows) })
    }

    async fn after_key(&mut self, connection: &mut Connection) -> Result<Vec<Values>, StorageError> {
        let mut after = match &mut self.place {
            Place::Start => self.table.start.iter().map(|start| start.value()).collect(),
            Place::After(key) => std::mem::take(key),
            Place::Cursor | Place::End => return Ok(Vec::new()),
        };
        let mut params: Vec<_> = after.iter().map(param).collect();
        params.push(Param::Integer(BATCH));
        let found = connection.query(self.table.read, &params).await?;
        let mut rows = Vec::with_capacity(found.len());
        for mut row in found {
            after = take(&mut row, self.table.start.len())?;
            rows.push(take(&mut row, self.table.columns)?);
        }
        self.place = Place::After(after);
        Ok(rows)
    }

    async fn of_cursor(&mut self, connection: &mut Connection) -> Result<Vec<Values>, StorageError> {
        if matches!(self.place, Place::End) {
            return Ok(Vec::new());
        }
        if matches!(self.place, Place::Start) {
            connection.execute(self.table.declare, &[]).await?;
            self.place = Place::Cursor;
        }
        let found = connection.query(self.table.fetch, &[]).await?;
        found
            .into_iter()
            .map(|mut row| take(&mut row, self.table.columns))
            .collect()
    }
}

/// Writes a row. On a server nobody waits for the answer: [`settle`] does, and hears of what went wrong.
pub(super) async fn insert(
    connection: &mut Connection,
    table: &Table,
    row: &[Value],
    progress: &mut Progress,
) -> Result<(), StorageError> {
    let params: Vec<_> = row.iter().map(param).collect();
    connection.send(table.insert, &params).await?;
    progress.rows += 1;
    progress.bytes += row.iter().map(size).sum::<u64>();
    Ok(())
}

/// Waits for what was written so far.
pub(super) async fn settle(connection: &mut Connection) -> Result<(), StorageError> {
    connection.query("select 1", &[]).await.map(drop)
}

fn take(row: &mut Row, count: usize) -> Result<Values, StorageError> {
    (0..count).map(|_| row.take()).collect()
}

fn param(value: &Value) -> Param<'_> {
    match value {
        Value::Null => Param::Null,
        Value::Integer(number) => Param::Integer(*number),
        Value::Text(text) => Param::Text(text),
        Value::Blob(bytes) => Param::Blob(bytes),
    }
}

const fn size(value: &Value) -> u64 {
    match value {
        Value::Null => 1,
        Value::Integer(_) => 8,
        Value::Text(text) => text.len() as u64,
        Value::Blob(bytes) => bytes.len() as u64,
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::migrate::MIGRATIONS;

    /// What the schema has and a backup does not copy: SQLite's own numbers, and the list of migrations, which a new
    /// file gets of itself.
    const NOT_COPIED: [&str; 2] = ["sqlite_sequence", "schema_migrations"];

    #[test]
    fn every_column_of_every_table_is_copied() {
        let schema = rusqlite::Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            schema.execute_batch(migration.sqlite).unwrap();
        }
        let mut statement = schema
            .prepare(
                "select t.name, c.name from sqlite_schema t, pragma_table_info(t.name) c where t.type = 'table'
                 order by t.name, c.cid",
            )
            .unwrap();
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (table, column): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
            // Events are numbered anew, in their order.
            let renumbered = table == "events" && column == "seq";
            if !NOT_COPIED.contains(&table.as_str()) && !renumbered {
                expected.entry(table).or_default().push(column);
            }
        }
        let copied = TABLES.iter().map(|table| {
            let columns: Vec<_> = columns(table.insert);
            assert_eq!(columns.len(), table.columns, "{}", table.name);
            (table.name.to_owned(), columns)
        });
        assert_eq!(copied.collect::<BTreeMap<_, _>>(), expected);
    }

    fn columns(insert: &str) -> Vec<String> {
        let list = insert.split('(').nth(1).unwrap().split(')').next().unwrap();
        list.split(", ").map(str::to_owned).collect()
    }
}
