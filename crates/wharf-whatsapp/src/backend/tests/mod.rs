//! Every method of the backend against the engine's own in-memory store as the oracle, and what the oracle has no word
//! for: the end after a failed write, messages answered from their rows, rows without addresses.

mod carry;
mod conduct;
mod history;
mod ops;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use wharf_model::{Network, SessionId, SystemEdges, WorkspaceId};
use wharf_session::port::SessionLease;
use wharf_storage::sessions::{self, NewSession};
use wharf_storage::{Durability, MasterKey, Queue, Storage, StorageConfig};

use super::WaBackend;

const SENT_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// A database of its own.
pub(super) struct House {
    dir: TempDir,
    /// Where it is, unless it is in the directory.
    url: Option<String>,
    pub(super) storage: Storage,
    workspace: WorkspaceId,
}

impl House {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = StorageConfig::new(dir.path(), Network::Sandbox);
        config.durability = Durability::Process;
        let url = wharf_testkit::postgres::database_url_for_tests();
        config.url.clone_from(&url);
        config.master_key = Some(MasterKey::from_bytes([3; 32]));
        let storage = Storage::open(config).await.unwrap();
        let workspace = storage.ensure_default_workspace().await.unwrap().id;
        Self {
            dir,
            url,
            storage,
            workspace,
        }
    }

    /// A new session, and a backend that owns it.
    pub(super) async fn backend(&self) -> WaBackend {
        let id = SessionId::generate(&SystemEdges, &SystemEdges);
        let (_, keys) = self.storage.new_session_keys(id).unwrap();
        let session = NewSession {
            id,
            workspace_id: self.workspace,
            name: "test".to_owned(),
            network: Network::Sandbox,
            device: None,
            pacing: None,
            metadata: None,
            proxy: None,
            keys,
            fingerprint: None,
            epoch: 0,
            created_by: None,
            created_at: self.storage.clock().now(),
        };
        self.storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { sessions::create(tx, &session).await })
            })
            .await
            .unwrap();
        let epoch = self.claim(id).await;
        self.lease(id, epoch).await
    }

    /// Makes a new owner; the one before is fenced out.
    async fn claim(&self, id: SessionId) -> i64 {
        self.storage
            .write(Queue::Normal, move |tx| Box::pin(sessions::claim(tx, id, "test", None)))
            .await
            .unwrap()
            .epoch
    }

    async fn lease(&self, session: SessionId, epoch: i64) -> WaBackend {
        let keys = self.storage.session_keys(session).await.unwrap();
        let lease = SessionLease {
            workspace: self.workspace,
            session,
            epoch,
        };
        WaBackend::new(self.storage.clone(), Arc::new(SystemEdges), keys, lease, SENT_TTL)
    }
}
