//! A backup that is read: everything that can be wrong with it is found out here, before anything is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wharf_model::{Random, SessionId, Timestamp};

use super::file::{open_backup, schema_is_current};
use super::make::MADE_AT;
use super::source::meta;
use super::{BackupError, digest};
use crate::config::StorageConfig;
use crate::driver::Connection;
use crate::driver::sqlite::SqliteConnection;
use crate::driver::value::params;
use crate::error::{OpenError, SealError, StorageError};
use crate::seal::{DataKey, KeyId, KeyOwner, KeyPurpose, MasterKey, Sealed, SessionKeys, file as key_file};

/// A backup that this build can read, and the key that opens it.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) made_at: Timestamp,
    path: PathBuf,
    master: MasterKey,
    random: Arc<dyn Random>,
}

impl Opened {
    /// Checks what is quick to check.
    pub(super) async fn open(path: &Path, config: &StorageConfig) -> Result<Self, BackupError> {
        let sqlite = open_backup(path)?;
        check_schema(&sqlite, path)?;
        let mut connection = Connection::Sqlite(sqlite);
        let described = describe(&mut connection).await.map_err(|error| blame(error, path))?;
        if described.network != config.network.as_str().as_bytes() {
            return Err(BackupError::OtherNetwork {
                found: String::from_utf8_lossy(&described.network).into_owned(),
                wanted: config.network.as_str().to_owned(),
            });
        }
        Ok(Self {
            connection,
            made_at: described.made_at,
            path: path.to_owned(),
            master: master_key(config, path, &described.key_check)?,
            random: Arc::clone(&config.random),
        })
    }

    /// Reads all of it: its structure, its checksum, its keys.
    pub(super) async fn verify(&mut self) -> Result<(), BackupError> {
        if self.is_whole().await.map_err(|error| blame(error, &self.path))? {
            Ok(())
        } else {
            Err(BackupError::Damaged(self.path.clone()))
        }
    }

    async fn is_whole(&mut self) -> Result<bool, StorageError> {
        let structure = self.connection.query("pragma integrity_check", &[]).await?;
        let sound = structure.len() == 1
            && structure
                .into_iter()
                .all(|mut row| row.take::<String>().is_ok_and(|text| text == "ok"));
        if !sound {
            return Ok(false);
        }
        let orphans = self.connection.query("pragma foreign_key_check", &[]).await?;
        let expected = meta(&mut self.connection, digest::KEY).await?;
        Ok(orphans.is_empty() && digest::of(&mut self.connection).await?[..] == expected && self.keys_open().await?)
    }

    async fn keys_open(&mut self) -> Result<bool, StorageError> {
        let rows = self.connection.query("select id, wrapped from data_keys", &[]).await?;
        for mut row in rows {
            let (id, wrapped) = (KeyId(row.take()?), Sealed::from_bytes(row.take()?));
            if self.master.unwrap(id, &wrapped).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What opens the rows of a session.
    pub(super) async fn session_keys(&mut self, session: SessionId) -> Result<SessionKeys, StorageError> {
        let content = self.data_key(session, KeyPurpose::Content).await?;
        let signal = self.data_key(session, KeyPurpose::Signal).await?;
        Ok(SessionKeys::new(session, content, signal))
    }

    async fn data_key(&mut self, session: SessionId, purpose: KeyPurpose) -> Result<DataKey, StorageError> {
        let rows = self
            .connection
            .query(
                "select id, wrapped from data_keys where owner_id = $1 and purpose = $2",
                params![KeyOwner::Session(session).as_bytes(), purpose.as_str()],
            )
            .await?;
        let mut row = rows.into_iter().next().ok_or(SealError::Shredded)?;
        let (id, wrapped) = (KeyId(row.take()?), Sealed::from_bytes(row.take()?));
        Ok(DataKey::unwrap(&self.master, &self.random, id, &wrapped)?)
    }
}

/// What a backup says of itself.
struct Described {
    network: Vec<u8>,
    key_check: Vec<u8>,
    made_at: Timestamp,
}

async fn describe(connection: &mut Connection) -> Result<Described, StorageError> {
    let made_at = meta(connection, MADE_AT).await?;
    let made_at = made_at
        .try_into()
        .map_err(|_| StorageError::Unreadable("time of the backup"))?;
    Ok(Described {
        network: meta(connection, "network").await?,
        key_check: meta(connection, "master_key_check").await?,
        made_at: Timestamp::from_millis(i64::from_be_bytes(made_at)),
    })
}

fn check_schema(sqlite: &SqliteConnection, path: &Path) -> Result<(), BackupError> {
    match schema_is_current(sqlite) {
        Ok(true) => Ok(()),
        Ok(false) => Err(BackupError::OldBackup(path.to_owned())),
        Err(OpenError::FromTheFuture { found, known }) => Err(BackupError::FromTheFuture { found, known }),
        Err(_) => Err(BackupError::Damaged(path.to_owned())),
    }
}

/// The configured key, or that of the directory which is restored into.
fn master_key(config: &StorageConfig, path: &Path, check: &[u8]) -> Result<MasterKey, BackupError> {
    let file = key_file::key_path(&config.dir);
    let found = match &config.master_key {
        Some(key) => Some(key.clone()),
        None if config.url.is_some() => return Err(OpenError::MasterKeyRequired.into()),
        None => key_file::read(&file)?,
    };
    let key = found.ok_or(BackupError::MasterKeyMissing { file })?;
    if key.matches(check)? {
        Ok(key)
    } else {
        Err(BackupError::WrongMasterKey(path.to_owned()))
    }
}

/// What reading stumbles over is the file's fault.
fn blame(_error: StorageError, path: &Path) -> BackupError {
    BackupError::Damaged(path.to_owned())
}
