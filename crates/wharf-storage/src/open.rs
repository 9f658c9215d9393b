//! Opening a database file: lock, key, inspection, migration, in that order. Promises that a database that cannot be used
//! (damaged, foreign, too new, of the other network, without its key) is left byte for byte as it was.
//!
//! A full `pragma quick_check` reads the whole file and is not made at every start; the header, the application id and
//! the tables that every start needs are.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backup;
use crate::config::StorageConfig;
use crate::driver::sqlite::SqliteConnection;
use crate::driver::value::params;
use crate::error::{OpenError, StorageError};
use crate::lock::OwnerLock;
use crate::migrate::{self, MIGRATIONS};
use crate::seal::MasterKey;
use crate::seal::file as key_file;
use crate::unit::reader::Snapshots;

/// `WHAR`, in the header of every database file that is ours.
pub(crate) const APPLICATION_ID: u32 = 0x5748_4152;

/// The first bytes of every SQLite file.
pub(crate) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What the threads of storage start from.
pub(crate) struct Opened {
    /// `None` in memory, where nobody else can be.
    pub(crate) lock: Option<OwnerLock>,
    pub(crate) master: MasterKey,
    pub(crate) writer: SqliteConnection,
    pub(crate) readers: Vec<Snapshots>,
    /// For reads on the callers' threads.
    pub(crate) glances: Vec<Snapshots>,
}

pub(crate) fn open(config: &StorageConfig) -> Result<Opened, OpenError> {
    if config.in_memory {
        return open_in_memory(config);
    }
    make_dir(&config.dir)?;
    let lock = OwnerLock::take(&config.dir)?;
    let path = config.dir.join("wharf.db");
    let master = if exists(&path)? {
        unlock_existing(config, &path)?
    } else {
        create(config, &path)?
    };
    let writer = SqliteConnection::writer(&path, config.durability).map_err(|error| unusable(error, &path))?;
    migrate::apply(&writer, MIGRATIONS, config.clock.now())?;
    // This process is alone: whatever was in progress when the last one ended will never be finished.
    writer
        .execute("delete from idempotency where state = 'in_progress'", &[])
        .map_err(database)?;
    let readers = || readers(config, || SqliteConnection::reader(&path));
    Ok(Opened {
        lock: Some(lock),
        master,
        writer,
        readers: readers()?,
        glances: readers()?,
    })
}

/// The database lives as long as the last connection to it.
fn open_in_memory(config: &StorageConfig) -> Result<Opened, OpenError> {
    let mut name = [0; 16];
    config.random.fill(&mut name);
    let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    let master = match &config.master_key {
        Some(key) => key.clone(),
        None => MasterKey::generate(&*config.random),
    };
    let writer = SqliteConnection::memory_writer(&name).map_err(database)?;
    fill(config, &writer, &master)?;
    Ok(Opened {
        lock: None,
        master,
        writer,
        readers: readers(config, || SqliteConnection::memory_reader(&name))?,
        // Who reads waits for who writes: not on the callers' threads.
        glances: Vec::new(),
    })
}

fn readers(
    config: &StorageConfig,
    open: impl Fn() -> Result<SqliteConnection, StorageError>,
) -> Result<Vec<Snapshots>, OpenError> {
    let reader = |_| open().map(Snapshots::new).map_err(database);
    (0..config.readers.clamp(1, 8)).map(reader).collect()
}

pub(crate) fn make_dir(dir: &Path) -> Result<(), OpenError> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(dir).map_err(|source| OpenError::Io {
        path: dir.to_owned(),
        source,
    })
}

/// A database file that was lost while its log was not must not be replaced by an empty one.
fn exists(path: &Path) -> Result<bool, OpenError> {
    if path.exists() {
        return Ok(true);
    }
    if log_path(path).exists() {
        Err(OpenError::DatabaseMissing(path.to_owned()))
    } else {
        Ok(false)
    }
}

fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Makes a database beside its name and renames it, so that a crash leaves a whole one or none.
fn create(config: &StorageConfig, path: &Path) -> Result<MasterKey, OpenError> {
    let master = match &config.master_key {
        Some(key) => key.clone(),
        None => {
            let file = key_file::key_path(&config.dir);
            match key_file::read(&file)? {
                Some(key) => key,
                None => key_file::create(&file, &*config.random)?,
            }
        }
    };
    let unfinished = path.with_extension("db.new");
    let io = |source| OpenError::Io {
        path: unfinished.clone(),
        source,
    };
    key_file::remove_if_there(&unfinished).map_err(io)?;
    key_file::remove_if_there(&path.with_extension("db.new-journal")).map_err(io)?;
    key_file::private_file(&unfinished).map_err(io)?;
    fill_new(config, &unfinished, &master)?;
    fs::rename(&unfinished, path)
        .and_then(|()| key_file::sync_parent(path))
        .map_err(io)?;
    Ok(master)
}

fn fill_new(config: &StorageConfig, path: &Path, master: &MasterKey) -> Result<(), OpenError> {
    let connection = SqliteConnection::draft(path).map_err(database)?;
    fill(config, &connection, master)
}

fn fill(config: &StorageConfig, connection: &SqliteConnection, master: &MasterKey) -> Result<(), OpenError> {
    connection
        .batch(&format!("pragma application_id = {APPLICATION_ID}"))
        .map_err(database)?;
    migrate::apply(connection, MIGRATIONS, config.clock.now())?;
    for (key, value) in [
        ("network", config.network.as_str().as_bytes()),
        ("master_key_id", master.id().map_err(sealing)?.as_bytes()),
        ("master_key_check", &master.check_value().map_err(sealing)?),
    ] {
        connection
            .execute("insert into meta (key, value) values ($1, $2)", params![key, value])
            .map_err(database)?;
    }
    Ok(())
}

/// Finds out whether this database can be used, without writing a byte.
fn unlock_existing(config: &StorageConfig, path: &Path) -> Result<MasterKey, OpenError> {
    check_header(path)?;
    let keys = candidates(config)?;
    let connection = inspector(path).map_err(|error| unusable(error, path))?;
    let check = inspect(&connection, config).map_err(|error| blame_file(error, path))?;
    drop(connection);
    for (place, key) in keys {
        if key.matches(&check).map_err(sealing)? {
            end_rotation(config, &place)?;
            return Ok(key);
        }
    }
    Err(OpenError::WrongMasterKey(config.dir.clone()))
}

/// Where a key came from.
enum KeyPlace {
    Configuration,
    File,
    NextFile,
}

fn candidates(config: &StorageConfig) -> Result<Vec<(KeyPlace, MasterKey)>, OpenError> {
    if let Some(key) = &config.master_key {
        return Ok(vec![(KeyPlace::Configuration, key.clone())]);
    }
    let file = key_file::key_path(&config.dir);
    let current = key_file::read(&file)?.map(|key| (KeyPlace::File, key));
    let next = key_file::read(&key_file::next_key_path(&config.dir))?.map(|key| (KeyPlace::NextFile, key));
    let keys: Vec<_> = current.into_iter().chain(next).collect();
    if keys.is_empty() {
        Err(OpenError::MasterKeyMissing {
            dir: config.dir.clone(),
            file,
        })
    } else {
        Ok(keys)
    }
}

/// A rotation writes the next key, rewraps, then renames. Whichever key fits tells how far it came.
fn end_rotation(config: &StorageConfig, place: &KeyPlace) -> Result<(), OpenError> {
    let next = key_file::next_key_path(&config.dir);
    let done = match place {
        KeyPlace::Configuration => Ok(()),
        KeyPlace::File => key_file::remove_if_there(&next),
        KeyPlace::NextFile => fs::rename(&next, key_file::key_path(&config.dir)),
    };
    done.map_err(|source| OpenError::Io { path: next, source })
}

/// A connection that leaves no trace. A log with content has to be read as well, which SQLite does without its shared
/// memory file when the locking mode is exclusive, and without a checkpoint when closing is told not to make one.
fn inspector(path: &Path) -> Result<SqliteConnection, StorageError> {
    let log = fs::metadata(log_path(path)).map_or(0, |metadata| metadata.len());
    if log == 0 {
        SqliteConnection::immutable(path)
    } else {
        SqliteConnection::traceless(path)
    }
}

pub(crate) fn check_header(path: &Path) -> Result<(), OpenError> {
    let mut header = [0; 100];
    let whole = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match whole {
        Ok(()) if header[..16] != *MAGIC => Err(OpenError::Corrupt(path.to_owned())),
        Ok(()) if header[68..72] == backup::APPLICATION_ID.to_be_bytes() => Err(OpenError::IsABackup(path.to_owned())),
        Ok(()) if header[68..72] != APPLICATION_ID.to_be_bytes() => Err(OpenError::Foreign(path.to_owned())),
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(OpenError::Corrupt(path.to_owned())),
        Err(source) => Err(OpenError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Versions, network, and the value that the master key is checked against.
fn inspect(connection: &SqliteConnection, config: &StorageConfig) -> Result<Vec<u8>, OpenError> {
    migrate::check(connection, MIGRATIONS)?;
    let network = meta(connection, "network")?;
    if network != config.network.as_str().as_bytes() {
        let found = String::from_utf8_lossy(&network).into_owned();
        return Err(OpenError::OtherNetwork {
            found,
            wanted: config.network.as_str().to_owned(),
        });
    }
    meta(connection, "master_key_check")
}

fn meta(connection: &SqliteConnection, key: &str) -> Result<Vec<u8>, OpenError> {
    let rows = connection
        .query("select value from meta where key = $1", params![key])
        .map_err(database)?;
    let row = rows.into_iter().next().ok_or(StorageError::Unreadable("meta"));
    row.and_then(|mut row| row.take()).map_err(database)
}

/// What inspection stumbles over while it reads is the file's fault.
fn blame_file(error: OpenError, path: &Path) -> OpenError {
    match error {
        OpenError::Database(_) => OpenError::Corrupt(path.to_owned()),
        other => other,
    }
}

fn unusable(error: StorageError, path: &Path) -> OpenError {
    match error {
        StorageError::Corrupt(_) => OpenError::Corrupt(path.to_owned()),
        other => database(other),
    }
}

fn database(error: StorageError) -> OpenError {
    OpenError::Database(Arc::new(error))
}

fn sealing(error: crate::error::SealError) -> OpenError {
    OpenError::Database(Arc::new(error))
}
