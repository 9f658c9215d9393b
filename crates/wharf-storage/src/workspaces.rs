//! Workspaces: the tenants.

use wharf_model::{Timestamp, WorkspaceId};

use crate::data_keys;
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::WrappedKey;
use crate::storage::Storage;
use crate::unit::Queue;
use crate::unit::tx::{ReadTx, Tx};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Stores a workspace with its key.
///
/// # Errors
/// [`StorageError::Conflict`] when the id is taken.
pub async fn create(tx: &mut Tx, workspace: &Workspace, key: &WrappedKey) -> Result<(), StorageError> {
    tx.execute(
        "insert into workspaces (id, name, created_at) values ($1, $2, $3)",
        params![&workspace.id, &workspace.name, workspace.created_at],
    )
    .await?;
    data_keys::insert(tx, key, workspace.created_at).await
}

/// One workspace.
///
/// # Errors
/// The database failed.
pub async fn get(tx: &mut ReadTx, id: WorkspaceId) -> Result<Option<Workspace>, StorageError> {
    let row = tx
        .first(
            "select id, name, created_at from workspaces where id = $1",
            params![&id],
        )
        .await?;
    row.map(|mut row| read(&mut row)).transpose()
}

/// The oldest workspace: the one that a single-tenant installation lives in.
///
/// # Errors
/// The database failed.
pub async fn oldest(tx: &mut ReadTx) -> Result<Option<Workspace>, StorageError> {
    let row = tx
        .first(
            "select id, name, created_at from workspaces order by created_at, id limit 1",
            &[],
        )
        .await?;
    row.map(|mut row| read(&mut row)).transpose()
}

impl Storage {
    /// The default workspace, made at the first call. Two callers at once get the same one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ensure_default_workspace(&self) -> Result<Workspace, StorageError> {
        let id = WorkspaceId::generate(&**self.clock(), &**self.random());
        let fresh = Workspace {
            id,
            name: "default".to_owned(),
            created_at: self.clock().now(),
        };
        let key = self.new_workspace_key(id)?;
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                tx.lock(Lock::Workspaces).await?;
                if let Some(workspace) = oldest(tx).await? {
                    return Ok(workspace);
                }
                create(tx, &fresh, &key).await?;
                Ok(fresh)
            })
        })
        .await
    }
}

fn read(row: &mut Row) -> Result<Workspace, StorageError> {
    Ok(Workspace {
        id: row.take()?,
        name: row.take()?,
        created_at: row.take()?,
    })
}
