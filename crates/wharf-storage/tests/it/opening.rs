//! Opening: what is refused, in one sentence, leaving every byte where it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wharf_model::Network;
use wharf_storage::conformance::Subject;
use wharf_storage::{MasterKey, OpenError, Storage, StorageConfig};

fn config(dir: &Path) -> StorageConfig {
    StorageConfig::new(dir, Network::Sandbox)
}

/// A directory with a database that was closed properly.
async fn closed() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(config(dir.path())).await.unwrap();
    storage.ensure_default_workspace().await.unwrap();
    storage.close().await;
    dir
}

/// A directory as a crash leaves it: the newest commits are in the write-ahead log only.
async fn crashed() -> TempDir {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage = Storage::open(config(dir.path())).await.unwrap();
    storage.ensure_default_workspace().await.unwrap();
    for (name, bytes) in files(dir.path()) {
        fs::write(copy.path().join(name), bytes).unwrap();
    }
    storage.close().await;
    assert!(fs::metadata(copy.path().join("wharf.db-wal")).unwrap().len() > 0);
    copy
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

/// Opens, expects a refusal, and compares the directory before and after.
async fn refused(config: StorageConfig) -> OpenError {
    let before = files(&config.dir);
    let dir = config.dir.clone();
    let error = Storage::open(config).await.unwrap_err();
    let after = files(&dir);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "{error}");
    for (name, bytes) in before {
        assert!(after[&name] == bytes, "{name} was changed before: {error}");
    }
    error
}

fn run_sql(dir: &Path, sql: &str) {
    rusqlite::Connection::open(dir.join("wharf.db"))
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

#[tokio::test]
async fn the_first_start_makes_a_private_key_and_database() {
    let dir = closed().await;
    let names: Vec<_> = files(dir.path()).into_keys().collect();
    assert_eq!(names, ["master.key", "wharf.db", "wharf.lock"]);
    #[cfg(unix)]
    for name in ["master.key", "wharf.db"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_second_start_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let first = Storage::open(config(dir.path())).await.unwrap();
    let second = refused(config(dir.path())).await;
    assert_eq!(
        second.to_string(),
        format!("another wharf is using {}", dir.path().display())
    );
    first.ensure_default_workspace().await.unwrap();
    first.close().await;
    Storage::open(config(dir.path())).await.unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_gives_the_directory_back() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let storage = Storage::open(config(dir.path())).await.unwrap();
        storage.ensure_default_workspace().await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_master_key_touches_nothing() {
    for dir in [closed().await, crashed().await] {
        let mut config = config(dir.path());
        fs::write(dir.path().join("wharf.lock"), "").unwrap();
        config.master_key = Some(MasterKey::from_bytes([1; 32]));
        let error = refused(config).await;
        assert!(matches!(error, OpenError::WrongMasterKey(_)), "{error:?}");
        Storage::open(self::config(dir.path())).await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_master_key_is_never_replaced_by_a_new_one() {
    for dir in [closed().await, crashed().await] {
        fs::write(dir.path().join("wharf.lock"), "").unwrap();
        fs::remove_file(dir.path().join("master.key")).unwrap();
        let error = refused(config(dir.path())).await;
        assert!(matches!(error, OpenError::MasterKeyMissing { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_spoilt_key_file_is_named() {
    let dir = closed().await;
    for text in ["", "not a key", "abcd", &"z".repeat(64)] {
        fs::write(dir.path().join("master.key"), text).unwrap();
        let error = refused(config(dir.path())).await;
        assert!(matches!(error, OpenError::MasterKeyMalformed(_)), "{error:?}");
        assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let whole = fs::read(closed().await.path().join("wharf.db")).unwrap();
    let garbage: Vec<u8> = (0..whole.len()).map(|position| (position * 31 % 251) as u8).collect();
    let mut first_page = whole.clone();
    first_page[100..4096].copy_from_slice(&garbage[100..4096]);
    let mut tables = whole.clone();
    tables[4096..].fill(0xff);
    let spoilt = [
        vec![],
        vec![0; 50],
        garbage,
        whole[..200].to_vec(),
        whole[..5000].to_vec(),
        first_page,
        tables,
    ];
    for (number, bytes) in spoilt.into_iter().enumerate() {
        let dir = closed().await;
        fs::write(dir.path().join("wharf.db"), bytes).unwrap();
        let error = refused(config(dir.path())).await;
        assert!(matches!(error, OpenError::Corrupt(_)), "{number}: {error:?}");
        assert!(
            error
                .to_string()
                .ends_with("is damaged or not a database; it was left as it is")
        );
    }
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let dir = closed().await;
    run_sql(dir.path(), "pragma application_id = 7");
    let error = refused(config(dir.path())).await;
    assert!(matches!(error, OpenError::Foreign(_)), "{error:?}");
}

#[tokio::test]
async fn a_database_from_the_future_is_refused() {
    let dir = closed().await;
    run_sql(
        dir.path(),
        "insert into schema_migrations values (999, 'later', x'00', 0)",
    );
    let mut spoil = rusqlite::Connection::open(dir.path().join("wharf.db")).unwrap();
    let transaction = spoil.transaction().unwrap();
    transaction
        .execute(
            "update schema_migrations set checksum = zeroblob(32) where version = 999",
            [],
        )
        .unwrap();
    transaction.commit().unwrap();
    spoil.close().unwrap();
    let error = refused(config(dir.path())).await;
    assert!(
        matches!(error, OpenError::FromTheFuture { found: 999, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let dir = closed().await;
    run_sql(
        dir.path(),
        "update schema_migrations set checksum = zeroblob(32) where version = 1",
    );
    let error = refused(config(dir.path())).await;
    assert!(matches!(error, OpenError::MigrationChanged(1)), "{error:?}");
}

#[tokio::test]
async fn a_database_of_the_other_network_is_refused() {
    let dir = closed().await;
    let error = refused(StorageConfig::new(dir.path(), Network::Live)).await;
    assert_eq!(
        error.to_string(),
        "the database belongs to the sandbox network and this build speaks to live"
    );
}

#[tokio::test]
async fn a_lost_database_file_is_not_replaced_by_an_empty_one() {
    let dir = crashed().await;
    fs::write(dir.path().join("wharf.lock"), "").unwrap();
    fs::remove_file(dir.path().join("wharf.db")).unwrap();
    let error = refused(config(dir.path())).await;
    assert!(matches!(error, OpenError::DatabaseMissing(_)), "{error:?}");
}

#[tokio::test]
async fn an_unknown_kind_of_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = refused(StorageConfig {
        url: Some("mysql://localhost".to_owned()),
        ..config(dir.path())
    })
    .await;
    assert!(matches!(error, OpenError::UnknownAddress), "{error:?}");
}

#[tokio::test]
async fn what_a_crash_left_in_the_log_is_there_after_the_next_start() {
    let dir = crashed().await;
    let storage = Storage::open(config(dir.path())).await.unwrap();
    let found = storage
        .read(|tx| Box::pin(wharf_storage::workspaces::oldest(tx)))
        .await
        .unwrap();
    assert!(found.is_some());
}

#[tokio::test]
async fn a_creation_that_was_cut_short_starts_over() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("wharf.db.new"), "half").unwrap();
    let storage = Storage::open(config(dir.path())).await.unwrap();
    storage.close().await;
    assert!(!dir.path().join("wharf.db.new").exists());
}

#[tokio::test]
async fn a_rotated_key_opens_and_the_old_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(config(dir.path())).await.unwrap();
    let workspace = storage.ensure_default_workspace().await.unwrap().id;
    let old = fs::read_to_string(dir.path().join("master.key")).unwrap();
    storage.rotate_master_key(MasterKey::from_bytes([9; 32])).await.unwrap();
    storage.close().await;
    let mut with_old = config(dir.path());
    with_old.master_key = Some(MasterKey::parse(&old).unwrap());
    assert!(matches!(refused(with_old).await, OpenError::WrongMasterKey(_)));
    let storage = Storage::open(config(dir.path())).await.unwrap();
    storage.workspace_keys(workspace).await.unwrap();
}

#[tokio::test]
async fn a_rotation_that_was_cut_short_opens_either_way() {
    let dir = closed().await;
    let (key, next) = (dir.path().join("master.key"), dir.path().join("master.key.next"));
    // Cut short before the rows were rewrapped: the next key fits nothing and goes.
    fs::write(&next, "07".repeat(32)).unwrap();
    Storage::open(config(dir.path())).await.unwrap().close().await;
    assert!(!next.exists());
    // Cut short after: the old key fits nothing and the next one takes its place.
    fs::rename(&key, &next).unwrap();
    fs::write(&key, "08".repeat(32)).unwrap();
    let right = fs::read(&next).unwrap();
    Storage::open(config(dir.path())).await.unwrap().close().await;
    assert!(!next.exists());
    assert_eq!(fs::read(&key).unwrap(), right);
}

#[tokio::test]
async fn what_was_in_progress_is_forgotten_by_the_next_start() {
    use wharf_storage::Queue;
    use wharf_storage::idempotency::{Claim, IdempotencyKey, claim};
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let subject = Subject::open(config(dir.path()), ()).await;
        let now = wharf_model::Timestamp::from_millis(0);
        let end = wharf_model::Timestamp::from_millis(i64::MAX);
        let key = IdempotencyKey {
            workspace_id: subject.workspace,
            key: "k".to_owned(),
            fingerprint: [0; 32],
        };
        let found = subject
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { claim(tx, &key, now, end).await })
            })
            .await;
        assert_eq!(found.unwrap(), Claim::Fresh);
    }
}
