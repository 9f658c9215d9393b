//! Data keys: their rows, and the ways to get, make, replace and rewrap them.

use std::sync::Arc;

use wharf_model::{SessionId, Timestamp, WorkspaceId};

use crate::driver::value::{Row, params};
use crate::error::{OpenError, SealError, StorageError};
use crate::postgres::lock::Lock;
use crate::seal::{
    DataKey, KeyId, KeyOwner, KeyPurpose, MasterKey, Sealed, SessionKeys, WorkspaceKeys, WrappedKey, file as key_file,
};
use crate::storage::Storage;
use crate::unit::Queue;
use crate::unit::tx::{ReadTx, Tx};

/// The wrapped keys of a new session, for [`crate::sessions::create`].
#[derive(Clone, Debug)]
pub struct NewSessionKeys {
    pub(crate) content: WrappedKey,
    pub(crate) signal: WrappedKey,
}

impl Storage {
    /// The keys of a session, from memory when it was used lately.
    ///
    /// # Errors
    /// [`SealError::Shredded`] when the session's keys are gone.
    pub async fn session_keys(&self, session: SessionId) -> Result<Arc<SessionKeys>, StorageError> {
        let keyring = &self.inner().keyring;
        if let Some(keys) = keyring.session(session) {
            return Ok(keys);
        }
        let forgotten = keyring.forgotten();
        let owner = KeyOwner::Session(session);
        let (content, signal) = self
            .read(move |tx| {
                Box::pin(async move {
                    Ok((
                        find(tx, owner, KeyPurpose::Content).await?,
                        find(tx, owner, KeyPurpose::Signal).await?,
                    ))
                })
            })
            .await?;
        let keys = Arc::new(SessionKeys::new(
            session,
            self.unwrap_key(content)?,
            self.unwrap_key(signal)?,
        ));
        keyring.keep_session(session, &keys, forgotten);
        Ok(keys)
    }

    /// The key of a workspace, from memory when it was used lately.
    ///
    /// # Errors
    /// [`SealError::Shredded`] when the workspace is gone.
    pub async fn workspace_keys(&self, workspace: WorkspaceId) -> Result<Arc<WorkspaceKeys>, StorageError> {
        if let Some(keys) = self.inner().keyring.workspace(workspace) {
            return Ok(keys);
        }
        let owner = KeyOwner::Workspace(workspace);
        let content = self
            .read(move |tx| Box::pin(find(tx, owner, KeyPurpose::Content)))
            .await?;
        let keys = Arc::new(WorkspaceKeys::new(workspace, self.unwrap_key(content)?));
        self.inner().keyring.keep_workspace(workspace, &keys);
        Ok(keys)
    }

    /// Keys for a session that is about to be created, and the rows that [`crate::sessions::create`] stores.
    ///
    /// # Errors
    /// Never in practice; see [`SealError`].
    pub fn new_session_keys(&self, session: SessionId) -> Result<(SessionKeys, NewSessionKeys), StorageError> {
        let owner = KeyOwner::Session(session);
        let (content, content_row) = self.new_key(owner, KeyPurpose::Content)?;
        let (signal, signal_row) = self.new_key(owner, KeyPurpose::Signal)?;
        let keys = SessionKeys::new(session, content, signal);
        Ok((
            keys,
            NewSessionKeys {
                content: content_row,
                signal: signal_row,
            },
        ))
    }

    /// A fresh key for a session's signal state, for [`crate::sessions::shred_signal_state`].
    ///
    /// # Errors
    /// Never in practice; see [`SealError`].
    pub fn new_signal_key(&self, session: SessionId) -> Result<WrappedKey, StorageError> {
        Ok(self.new_key(KeyOwner::Session(session), KeyPurpose::Signal)?.1)
    }

    /// The key of a workspace that is about to be created, for [`crate::workspaces::create`].
    ///
    /// # Errors
    /// Never in practice; see [`SealError`].
    pub fn new_workspace_key(&self, workspace: WorkspaceId) -> Result<WrappedKey, StorageError> {
        Ok(self.new_key(KeyOwner::Workspace(workspace), KeyPurpose::Content)?.1)
    }

    /// Wraps every data key with a new master key; no sealed value is rewritten. With a key file, the file is replaced
    /// too, in an order that any crash leaves readable.
    ///
    /// # Errors
    /// The old key stays in force.
    pub async fn rotate_master_key(&self, new: MasterKey) -> Result<(), StorageError> {
        let _alone = self.inner().rotation.lock().await;
        let next_file = self.write_next_key_file(&new)?;
        let (old, random) = (self.inner().keyring.master(), Arc::clone(self.random()));
        let replacement = new.clone();
        self.inner().keyring.expect_master(new.clone());
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move { rewrap_all(tx, &old, &new, &*random).await })
        })
        .await?;
        self.inner().keyring.replace_master(replacement);
        self.promote_key_file(next_file)
    }

    fn new_key(&self, owner: KeyOwner, purpose: KeyPurpose) -> Result<(DataKey, WrappedKey), StorageError> {
        Ok(DataKey::generate(
            &self.inner().keyring.master(),
            self.random(),
            owner,
            purpose,
        )?)
    }

    /// During a rotation a row may be wrapped by the key that was or by the one that will be.
    fn unwrap_key(&self, row: Option<(KeyId, Sealed)>) -> Result<DataKey, StorageError> {
        let (id, wrapped) = row.ok_or(SealError::Shredded)?;
        let (current, coming) = self.inner().keyring.masters();
        let unwrap = |master: &MasterKey| DataKey::unwrap(master, self.random(), id, &wrapped);
        match (unwrap(&current), coming) {
            (Err(SealError::OtherKey), Some(coming)) => Ok(unwrap(&coming)?),
            (unwrapped, _) => Ok(unwrapped?),
        }
    }

    fn write_next_key_file(&self, new: &MasterKey) -> Result<Option<std::path::PathBuf>, StorageError> {
        if self.inner().config.master_key.is_some() {
            return Ok(None);
        }
        let next = key_file::next_key_path(&self.inner().config.dir);
        // Left by a rotation that failed in this process; the key in it was never used.
        let _ = std::fs::remove_file(&next);
        key_file::write_new(&next, new).map_err(file_failed)?;
        Ok(Some(next))
    }

    fn promote_key_file(&self, next: Option<std::path::PathBuf>) -> Result<(), StorageError> {
        let Some(next) = next else { return Ok(()) };
        let file = key_file::key_path(&self.inner().config.dir);
        std::fs::rename(&next, &file)
            .and_then(|()| key_file::sync_parent(&file))
            .map_err(|source| file_failed(OpenError::Io { path: file, source }))
    }
}

fn file_failed(error: OpenError) -> StorageError {
    StorageError::Internal(Arc::new(error))
}

/// Stores a wrapped key, unless the master key was rotated since it was wrapped.
pub(crate) async fn insert(tx: &mut Tx, key: &WrappedKey, now: Timestamp) -> Result<(), StorageError> {
    tx.lock(Lock::Keys).await?;
    let inserted = tx
        .execute(
            "insert into data_keys (id, owner_kind, owner_id, purpose, wrapped, created_at)
             select $1, $2, $3, $4, $5, $6 where exists (select 1 from meta where key = 'master_key_id' and value = $7)",
            params![
                key.id.as_bytes(),
                key.owner.kind(),
                key.owner.as_bytes(),
                key.purpose.as_str(),
                key.wrapped.as_bytes(),
                now,
                key.master.as_bytes()
            ],
        )
        .await?;
    if inserted == 1 {
        Ok(())
    } else {
        Err(SealError::OtherKey.into())
    }
}

/// Destroys a session's key for one purpose.
pub(crate) async fn shred(tx: &mut Tx, session: SessionId, purpose: KeyPurpose) -> Result<(), StorageError> {
    tx.execute(
        "delete from data_keys where owner_id = $1 and purpose = $2",
        params![&session, purpose.as_str()],
    )
    .await?;
    tx.notes().forgotten.push(session);
    Ok(())
}

async fn find(tx: &mut ReadTx, owner: KeyOwner, purpose: KeyPurpose) -> Result<Option<(KeyId, Sealed)>, StorageError> {
    let row = tx
        .first(
            "select id, wrapped from data_keys where owner_id = $1 and purpose = $2",
            params![owner.as_bytes(), purpose.as_str()],
        )
        .await?;
    row.map(|mut row| read_key(&mut row)).transpose()
}

fn read_key(row: &mut Row) -> Result<(KeyId, Sealed), StorageError> {
    Ok((KeyId(row.take()?), Sealed(row.take()?)))
}

async fn rewrap_all(
    tx: &mut Tx,
    old: &MasterKey,
    new: &MasterKey,
    random: &dyn wharf_model::Random,
) -> Result<(), StorageError> {
    // A key that is inserted meanwhile would be under the old master key and not among these.
    tx.lock(Lock::AllKeys).await?;
    for mut row in tx.query("select id, wrapped from data_keys", &[]).await? {
        let (id, wrapped) = read_key(&mut row)?;
        let rewrapped = new.wrap(random, id, &*old.unwrap(id, &wrapped)?)?;
        tx.execute(
            "update data_keys set wrapped = $2 where id = $1",
            params![id.as_bytes(), rewrapped.as_bytes()],
        )
        .await?;
    }
    for (key, value) in [
        ("master_key_id", &new.id()?.as_bytes()[..]),
        ("master_key_check", &new.check_value()?),
    ] {
        tx.execute("update meta set value = $2 where key = $1", params![key, value])
            .await?;
    }
    Ok(())
}
