//! What only SQLite can show: commits that fail, disks that are full, groups.

use std::sync::mpsc;

use wharf_model::Network;

use crate::driver::value::params;
use crate::{Queue, Storage, StorageConfig, StorageError, Tx};

async fn open(queue_capacity: usize) -> (Storage, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = StorageConfig {
        queue_capacity,
        ..StorageConfig::new(dir.path(), Network::Sandbox)
    };
    (Storage::open(config).await.unwrap(), dir)
}

async fn put(tx: &mut Tx, key: &str, value: &[u8]) -> Result<(), StorageError> {
    tx.execute("insert into meta (key, value) values ($1, $2)", params![key, value])
        .await
        .map(drop)
}

async fn keys(storage: &Storage) -> Vec<String> {
    let read = storage.read(|tx| {
        Box::pin(async move {
            let rows = tx
                .query("select key from meta where key like 'test %' order by key", &[])
                .await?;
            rows.into_iter().map(|mut row| row.take()).collect()
        })
    });
    read.await.unwrap()
}

/// Holds the writer until the answer is dropped, so that what follows ends up in one group.
async fn hold(storage: &Storage) -> mpsc::Sender<()> {
    let (release, wait) = mpsc::channel::<()>();
    let (running, started) = tokio::sync::oneshot::channel();
    let storage = storage.clone();
    tokio::spawn(async move {
        let unit = storage.write(Queue::Normal, move |_| {
            let _ = running.send(());
            let _ = wait.recv();
            Box::pin(std::future::ready(Ok(())))
        });
        unit.await.unwrap();
    });
    started.await.unwrap();
    release
}

async fn until_queued(storage: &Storage, count: usize) {
    while storage.queue_depths().normal != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_fails_every_unit_of_its_group() {
    let (storage, _dir) = open(100).await;
    let release = hold(&storage).await;
    let good = spawn(&storage, |tx| Box::pin(put(tx, "test good", b"")));
    until_queued(&storage, 1).await;
    // A foreign key that is checked at the commit only: the unit itself goes well.
    let bad = spawn(&storage, |tx| {
        Box::pin(async move {
            tx.query("pragma defer_foreign_keys = on", &[]).await?;
            tx.execute(
                "insert into session_history (session_id, status, at) values (x'00', 'ready', 0)",
                &[],
            )
            .await
            .map(drop)
        })
    });
    until_queued(&storage, 2).await;
    drop(release);
    for unit in [good, bad] {
        let failed = unit.await.unwrap();
        assert!(matches!(failed, Err(StorageError::Internal(_))), "{failed:?}");
    }
    assert!(keys(&storage).await.is_empty());
    storage
        .write(Queue::Normal, |tx| Box::pin(put(tx, "test after", b"")))
        .await
        .unwrap();
    assert_eq!(keys(&storage).await, ["test after"]);
}

type Unit = for<'a> fn(&'a mut Tx) -> futures::future::BoxFuture<'a, Result<(), StorageError>>;

fn spawn(storage: &Storage, unit: Unit) -> tokio::task::JoinHandle<Result<(), StorageError>> {
    let storage = storage.clone();
    tokio::spawn(async move { storage.write(Queue::Normal, unit).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_apart_and_storage_recovers() {
    let (storage, _dir) = open(100).await;
    // SQLite's own limit on the file gives the same result code as a disk without room.
    let limited = storage.write(Queue::Normal, |tx| {
        Box::pin(async move {
            let mut row = tx.first("pragma page_count", &[]).await?.unwrap();
            let pages: i64 = row.take()?;
            assert!(pages < 200);
            tx.query("pragma max_page_count = 200", &[]).await.map(drop)
        })
    });
    limited.await.unwrap();
    let full = storage.write(Queue::Normal, |tx| {
        Box::pin(async move { put(tx, "test big", &[1; 2_000_000]).await })
    });
    let full = full.await;
    assert!(matches!(full, Err(StorageError::Full(_))), "{full:?}");
    assert!(keys(&storage).await.is_empty());
    storage
        .write(Queue::Normal, |tx| Box::pin(put(tx, "test small", b"")))
        .await
        .unwrap();
    assert_eq!(keys(&storage).await, ["test small"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_makes_its_callers_wait() {
    let (storage, _dir) = open(2).await;
    let release = hold(&storage).await;
    let units: Vec<_> = (0..20)
        .map(|number| {
            let storage = storage.clone();
            tokio::spawn(async move {
                let unit = storage.write(Queue::Normal, move |tx| {
                    Box::pin(async move { put(tx, &format!("test {number:02}"), b"").await })
                });
                unit.await
            })
        })
        .collect();
    // The unit that holds the writer keeps one of the two places; only one more can wait.
    until_queued(&storage, 1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(storage.queue_depths().normal <= 1);
    }
    drop(release);
    for unit in units {
        unit.await.unwrap().unwrap();
    }
    assert_eq!(keys(&storage).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_together_is_committed_together() {
    let (storage, dir) = open(2000).await;
    let log = dir.path().join("wharf.db-wal");
    let release = hold(&storage).await;
    let units: Vec<_> = (0..500)
        .map(|number| {
            let storage = storage.clone();
            tokio::spawn(async move {
                let unit = storage.write(Queue::Normal, move |tx| {
                    Box::pin(async move { put(tx, &format!("test {number:03}"), b"").await })
                });
                unit.await
            })
        })
        .collect();
    until_queued(&storage, 500).await;
    let before = std::fs::metadata(&log).unwrap().len();
    drop(release);
    for unit in units {
        unit.await.unwrap().unwrap();
    }
    let grown = std::fs::metadata(&log).unwrap().len() - before;
    // 500 commits of their own would write at least one page each.
    assert!(grown < 100 * 4096, "the log grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_holds_the_last_handle_ends_storage_cleanly() {
    let (storage, dir) = open(10).await;
    let last = storage.clone();
    let (dropped, gone) = mpsc::channel::<()>();
    let caller = tokio::spawn(async move {
        let unit = storage.write(Queue::Normal, move |_| {
            let _ = gone.recv();
            drop(last);
            Box::pin(std::future::ready(Ok(())))
        });
        unit.await
    });
    tokio::task::yield_now().await;
    drop(dropped);
    let _ = caller.await;
    while let Err(error) = Storage::open(StorageConfig::new(dir.path(), Network::Sandbox)).await {
        assert!(matches!(error, crate::OpenError::Locked(_)), "{error:?}");
        tokio::task::yield_now().await;
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "an answer that panics when nobody wants it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_panics_does_not_end_the_writer() {
    let (storage, _dir) = open(10).await;
    let release = hold(&storage).await;
    let caller = storage.clone();
    let caller = tokio::spawn(async move {
        let unit = caller.write(Queue::Normal, |tx| {
            Box::pin(async move {
                put(tx, "test bomb", b"").await?;
                Ok(Bomb)
            })
        });
        unit.await.map(std::mem::forget)
    });
    until_queued(&storage, 1).await;
    caller.abort();
    assert!(caller.await.is_err());
    drop(release);
    storage
        .write(Queue::Normal, |tx| Box::pin(put(tx, "test next", b"")))
        .await
        .unwrap();
    assert_eq!(keys(&storage).await, ["test bomb", "test next"]);
}
