//! The store in one SQLite file. A thread of its own commits whatever has gathered since its last commit, so many
//! connections share one transaction and a busy network costs few of them (group commit).

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{Batch, Kind, Record, Store, Ticket, Write};
use crate::error::StoreError;

const VERSION: i64 = 1;

#[derive(Debug)]
pub(crate) struct FileStore {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    work: Condvar,
    durable: watch::Sender<Ticket>,
    failed: CancellationToken,
}

#[derive(Debug, Default)]
struct Pending {
    writes: Vec<Write>,
    ticket: Ticket,
    closing: bool,
}

impl FileStore {
    /// Opens or creates the file and reads every record back.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Record>), StoreError> {
        let connection = Connection::open(path)?;
        prepare(&connection)?;
        let records = read_all(&connection)?;
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending::default()),
            work: Condvar::new(),
            durable: watch::Sender::new(0),
            failed: CancellationToken::new(),
        });
        let writer = spawn_writer(Arc::clone(&shared), connection)?;
        Ok((
            Self {
                shared,
                writer: Mutex::new(Some(writer)),
            },
            records,
        ))
    }
}

impl Store for FileStore {
    fn batch(&self) -> Batch {
        Batch {
            writes: Some(Vec::new()),
        }
    }

    fn submit(&self, batch: Batch) -> Ticket {
        let mut pending = self.shared.lock();
        let writes = batch.writes.unwrap_or_default();
        if writes.is_empty() {
            return pending.ticket;
        }
        pending.ticket += 1;
        // Nobody would take them any more.
        if self.shared.failed.is_cancelled() {
            return pending.ticket;
        }
        pending.writes.extend(writes);
        self.shared.work.notify_one();
        pending.ticket
    }

    fn durable(&self) -> watch::Receiver<Ticket> {
        self.shared.durable.subscribe()
    }

    fn failed(&self) -> CancellationToken {
        self.shared.failed.clone()
    }

    fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            error!("the writer of the sandbox file panicked");
        }
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next group, or `None` when the store closes and nothing is left.
    fn next_group(&self) -> Option<(Vec<Write>, Ticket)> {
        let mut pending = self.lock();
        while pending.writes.is_empty() {
            if pending.closing {
                return None;
            }
            pending = self.work.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        Some((std::mem::take(&mut pending.writes), pending.ticket))
    }
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    // NORMAL does not sync the log at every commit. That is enough here: the promise is that a killed *process*
    // loses nothing it acknowledged, and what was written to the log is with the kernel by then. A power cut may
    // lose the last moments, which a test network can afford.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != 0 && found != VERSION {
        return Err(StoreError::Version {
            found,
            expected: VERSION,
        });
    }
    connection.execute_batch(
        "create table if not exists records (
            kind integer not null, key text not null, value blob not null, primary key (kind, key)
        ) without rowid",
    )?;
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

fn read_all(connection: &Connection) -> Result<Vec<Record>, StoreError> {
    let mut statement = connection.prepare("select kind, key, value from records order by kind, key")?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let (number, key): (u8, String) = (row.get(0)?, row.get(1)?);
        let Some(kind) = Kind::from_number(number) else {
            return Err(StoreError::Corrupt {
                kind: number,
                key,
                reason: "unknown kind".to_owned(),
            });
        };
        records.push(Record {
            kind,
            key,
            value: row.get(2)?,
        });
    }
    Ok(records)
}

fn spawn_writer(shared: Arc<Shared>, mut connection: Connection) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name("sandbox-store".to_owned())
        .spawn(move || {
            while let Some((writes, ticket)) = shared.next_group() {
                if let Err(failure) = commit(&mut connection, &writes) {
                    // Nothing after this may be acknowledged: the tickets stay open, so clients wait and keep theirs.
                    error!(error = %failure, "the sandbox file cannot be written; nothing is acknowledged any more");
                    shared.failed.cancel();
                    return;
                }
                shared.durable.send_replace(ticket);
            }
        })
        .map_err(StoreError::Thread)
}

fn commit(connection: &mut Connection, writes: &[Write]) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    {
        let mut put =
            transaction.prepare_cached("insert or replace into records (kind, key, value) values (?, ?, ?)")?;
        let mut delete = transaction.prepare_cached("delete from records where kind = ? and key = ?")?;
        for write in last_of_each(writes) {
            match &write.value {
                Some(value) => put.execute((write.kind as u8, &write.key, value))?,
                None => delete.execute((write.kind as u8, &write.key))?,
            };
        }
    }
    transaction.commit()
}

/// The last write to each record. A group is visible as a whole or not at all, so what was overwritten in it, such as
/// a session that moved on with every message, need not be written.
fn last_of_each(writes: &[Write]) -> Vec<&Write> {
    let mut seen = HashSet::with_capacity(writes.len());
    let newest_first = writes.iter().rev();
    let mut last: Vec<&Write> = newest_first
        .filter(|write| seen.insert((write.kind as u8, write.key.as_str())))
        .collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_submitted_is_read_back_after_a_close() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sandbox.db");
        let (store, records) = FileStore::open(&path).unwrap();
        assert!(records.is_empty());
        let mut batch = store.batch();
        batch.put(Kind::Account, || "a".to_owned(), || vec![1]);
        batch.put(Kind::Account, || "b".to_owned(), || vec![2]);
        let ticket = store.submit(batch);
        let mut batch = store.batch();
        batch.delete(Kind::Account, || "a".to_owned());
        assert!(store.submit(batch) > ticket);
        store.close();
        assert_eq!(*store.durable().borrow(), 2);
        let (_store, records) = FileStore::open(&path).unwrap();
        let found: Vec<_> = records
            .iter()
            .map(|record| (record.key.as_str(), record.value.clone()))
            .collect();
        assert_eq!(found, [("b", vec![2])]);
    }

    #[test]
    fn only_the_last_write_to_a_record_counts() {
        let write = |key: &str, value| Write {
            kind: Kind::Account,
            key: key.to_owned(),
            value,
        };
        let writes = [
            write("a", Some(vec![1])),
            write("b", Some(vec![2])),
            write("a", None),
            write("b", Some(vec![3])),
        ];
        let last = last_of_each(&writes);
        let found: Vec<_> = last.iter().map(|write| (write.key.as_str(), &write.value)).collect();
        assert_eq!(found, [("a", &None), ("b", &Some(vec![3]))]);
    }

    #[test]
    fn an_empty_batch_needs_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = FileStore::open(&folder.path().join("sandbox.db")).unwrap();
        assert_eq!(store.submit(store.batch()), 0);
    }
}
