//! Backups as files: what they look like, what is refused, and that a failed one leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wharf_model::Network;
use wharf_storage::backup::{self, BackupError, Carry, Destination, Progress};
use wharf_storage::{MasterKey, OpenError, Storage, StorageConfig};

fn config(dir: &Path) -> StorageConfig {
    StorageConfig::new(dir, Network::Sandbox)
}

fn keep_all() -> Carry {
    Box::new(|_, row| Ok(Some(row)))
}

async fn make(dir: &Path, file: &Path, replace: bool) -> Result<Progress, BackupError> {
    let to = Destination {
        file: file.to_owned(),
        replace,
    };
    backup::make(config(dir), to, Box::new(|_| {})).await
}

async fn restore(file: &Path, config: StorageConfig) -> Result<(), BackupError> {
    backup::restore(file.to_owned(), config, keep_all(), Box::new(|_| {}))
        .await
        .map(drop)
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// A house with a closed database and a backup of it.
struct House {
    dir: TempDir,
    backup: PathBuf,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let storage = Storage::open(config(&data)).await.unwrap();
        storage.ensure_default_workspace().await.unwrap();
        storage.close().await;
        let backup = dir.path().join("backup");
        make(&data, &backup, false).await.unwrap();
        Self { dir, backup }
    }

    /// An empty directory with the right key in it.
    fn target(&self, name: &str) -> StorageConfig {
        let dir = self.dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::copy(self.dir.path().join("data/master.key"), dir.join("master.key")).unwrap();
        config(&dir)
    }

    /// Restores, expects a refusal, and sees that nothing but the key lies in the target.
    async fn refuses(&self, name: &str, change: impl FnOnce(&mut StorageConfig, &Path)) -> BackupError {
        let mut target = self.target(name);
        let copy = self.dir.path().join(format!("{name}.backup"));
        fs::copy(&self.backup, &copy).unwrap();
        change(&mut target, &copy);
        let before = names(&target.dir);
        let error = restore(&copy, target.clone()).await.unwrap_err();
        assert_eq!(names(&target.dir), before, "{error}");
        error
    }
}

#[tokio::test]
async fn a_backup_is_one_private_file_and_is_not_replaced_unasked() {
    let house = House::new().await;
    assert_eq!(names(house.dir.path()), ["backup", "data"].map(str::to_owned).into());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&house.backup).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let data = house.dir.path().join("data");
    let before = fs::read(&house.backup).unwrap();
    let refused = make(&data, &house.backup, false).await.unwrap_err();
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
    assert_eq!(fs::read(&house.backup).unwrap(), before);
    make(&data, &house.backup, true).await.unwrap();
    assert_eq!(names(house.dir.path()), ["backup", "data"].map(str::to_owned).into());
    let key = fs::read_to_string(data.join("master.key")).unwrap();
    let key = data_encoding::HEXLOWER.decode(key.trim().as_bytes()).unwrap();
    let file = fs::read(&house.backup).unwrap();
    assert!(
        !file.windows(32).any(|window| window == key),
        "the master key is inside"
    );
}

#[tokio::test]
async fn a_backup_is_made_beside_a_running_owner_and_of_what_a_crash_left() {
    let house = House::new().await;
    let (data, crashed) = (house.dir.path().join("data"), house.dir.path().join("crashed"));
    let storage = Storage::open(config(&data)).await.unwrap();
    let beside = make(&data, &house.dir.path().join("running"), false).await.unwrap();
    fs::create_dir(&crashed).unwrap();
    for name in names(&data) {
        fs::copy(data.join(&name), crashed.join(&name)).unwrap();
    }
    storage.close().await;
    let of_crash = make(&crashed, &house.dir.path().join("left"), false).await.unwrap();
    assert_eq!(beside, of_crash);
    assert!(beside.rows >= 5 && beside.bytes > 100, "{beside:?}");
    Storage::open(config(&crashed)).await.unwrap().close().await;
}

#[tokio::test]
async fn there_must_be_something_to_back_up() {
    let house = House::new().await;
    let nothing = make(&house.dir.path().join("nowhere"), &house.dir.path().join("x"), false).await;
    assert!(matches!(nothing, Err(BackupError::NoDatabase(_))));
    let mut other = config(&house.dir.path().join("data"));
    other.network = Network::Live;
    let to = Destination {
        file: house.dir.path().join("x"),
        replace: false,
    };
    let foreign = backup::make(other, to, Box::new(|_| {})).await;
    assert!(matches!(
        foreign,
        Err(BackupError::Open(OpenError::OtherNetwork { .. }))
    ));
    assert!(!house.dir.path().join("x").exists());
}

#[tokio::test]
async fn no_server_starts_on_a_backup() {
    let house = House::new().await;
    let target = house.target("target");
    fs::copy(&house.backup, target.dir.join("wharf.db")).unwrap();
    let refused = Storage::open(target).await.unwrap_err();
    assert!(matches!(refused, OpenError::IsABackup(_)), "{refused}");
}

#[tokio::test]
async fn a_restored_database_opens_with_its_own_key_file() {
    let house = House::new().await;
    let target = house.target("target");
    restore(&house.backup, target.clone()).await.unwrap();
    assert_eq!(
        names(&target.dir),
        ["master.key", "wharf.db", "wharf.lock"].map(str::to_owned).into()
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(target.dir.join("wharf.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let first = Storage::open(config(&house.dir.path().join("data"))).await.unwrap();
    let second = Storage::open(target.clone()).await.unwrap();
    assert_eq!(
        first.ensure_default_workspace().await.unwrap(),
        second.ensure_default_workspace().await.unwrap()
    );
    let refused = restore(&house.backup, target.clone()).await.unwrap_err();
    assert!(matches!(refused, BackupError::Open(OpenError::Locked(_))), "{refused}");
    second.close().await;
    let refused = restore(&house.backup, target).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_a_byte_is_written() {
    let house = House::new().await;
    let refused = house
        .refuses("no-key", |target, _| {
            fs::remove_file(target.dir.join("master.key")).unwrap();
        })
        .await;
    assert!(matches!(refused, BackupError::MasterKeyMissing { .. }), "{refused}");
    let refused = house
        .refuses("other-key", |target, _| {
            target.master_key = Some(MasterKey::from_bytes([9; 32]));
        })
        .await;
    assert!(matches!(refused, BackupError::WrongMasterKey(_)), "{refused}");
    let refused = house
        .refuses("other-network", |target, _| target.network = Network::Live)
        .await;
    assert!(matches!(refused, BackupError::OtherNetwork { .. }), "{refused}");
    let refused = house
        .refuses("newer", |_, file| {
            sql(
                file,
                "insert into schema_migrations (version, name, checksum, applied_at) values (99, 'x', zeroblob(32), 0)",
            );
        })
        .await;
    assert!(
        matches!(refused, BackupError::FromTheFuture { found: 99, .. }),
        "{refused}"
    );
    let refused = house
        .refuses("text", |_, file| fs::write(file, "not a database at all").unwrap())
        .await;
    assert!(matches!(refused, BackupError::NotABackup(_)), "{refused}");
    let refused = house
        .refuses("database", |_, file| {
            fs::copy(house.dir.path().join("data/wharf.db"), file).unwrap();
        })
        .await;
    assert!(matches!(refused, BackupError::IsADatabase(_)), "{refused}");
    let refused = house.refuses("gone", |_, file| fs::remove_file(file).unwrap()).await;
    assert!(matches!(refused, BackupError::Io { .. }), "{refused}");
}

fn sql(file: &Path, text: &str) {
    rusqlite::Connection::open(file).unwrap().execute_batch(text).unwrap();
}

#[tokio::test]
async fn damage_is_found_before_a_byte_is_written() {
    let house = House::new().await;
    let length = fs::metadata(&house.backup).unwrap().len();
    let cut = house
        .refuses("cut", |_, file| {
            let open = fs::OpenOptions::new().write(true).open(file).unwrap();
            open.set_len(length / 2).unwrap();
        })
        .await;
    assert!(matches!(cut, BackupError::Damaged(_)), "{cut}");
    for (name, change) in [
        ("a letter", "update workspaces set name = 'defaulT'"),
        ("a row", "delete from data_keys"),
        ("a key", "update data_keys set wrapped = zeroblob(length(wrapped))"),
        ("the checksum", "delete from meta where key = 'backup_digest'"),
        (
            "the time",
            "update meta set value = zeroblob(8) where key = 'backup_made_at'",
        ),
    ] {
        let refused = house.refuses(name, |_, file| sql(file, change)).await;
        assert!(matches!(refused, BackupError::Damaged(_)), "{name}: {refused}");
    }
}

/// Opens what was restored a moment ago. A process that another test starts shares this one's files between its fork
/// and its exec, and with them the lock that was just given back.
async fn open(target: &StorageConfig) -> Storage {
    loop {
        match Storage::open(target.clone()).await {
            Err(OpenError::Locked(_)) => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

/// Every byte of the file is the file's: no change of one goes unseen, except where SQLite keeps nothing.
#[tokio::test]
async fn a_changed_byte_never_restores_something_else() {
    let house = House::new().await;
    let whole = fs::read(&house.backup).unwrap();
    let copy = house.dir.path().join("changed");
    for position in (0..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x55;
        fs::write(&copy, bytes).unwrap();
        let target = house.target("changed-target");
        let restored = restore(&copy, target.clone()).await;
        if restored.is_ok() {
            let storage = open(&target).await;
            assert_eq!(storage.ensure_default_workspace().await.unwrap().name, "default");
            storage.close().await;
        }
        fs::remove_dir_all(&target.dir).unwrap();
    }
}
