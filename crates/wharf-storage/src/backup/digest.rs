//! A checksum over every row, in the order of the file: SQLite's own check does not see a changed letter.

use sha2::{Digest as _, Sha256};

use super::tables::{Reader, TABLES};
use crate::driver::Connection;
use crate::driver::value::Value;
use crate::error::StorageError;

/// Under this name it stands in the backup's table `meta`.
pub(super) const KEY: &str = "backup_digest";

/// Reads all of a backup.
pub(super) async fn of(connection: &mut Connection) -> Result<[u8; 32], StorageError> {
    let mut hash = Sha256::new();
    for table in TABLES {
        add(&mut hash, b't', table.name.as_bytes());
        let mut reader = Reader::new(table);
        while let Some(rows) = reader.next(connection).await? {
            for row in rows.iter().filter(|row| !is_own(table.name, row)) {
                add_row(&mut hash, row);
            }
        }
    }
    Ok(hash.finalize().into())
}

/// The checksum cannot be part of what it is made from.
fn is_own(table: &str, row: &[Value]) -> bool {
    table == "meta" && row.first() == Some(&Value::Text(KEY.to_owned()))
}

fn add_row(hash: &mut Sha256, row: &[Value]) {
    for value in row {
        match value {
            Value::Null => add(hash, b'n', &[]),
            Value::Integer(number) => add(hash, b'i', &number.to_be_bytes()),
            Value::Text(text) => add(hash, b's', text.as_bytes()),
            Value::Blob(bytes) => add(hash, b'b', bytes),
        }
    }
}

/// The length keeps neighbours apart.
fn add(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
