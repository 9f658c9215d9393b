//! What a case works on: an open database of its own, a clock that stands still, and short ways to make rows.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use wharf_model::{
    Clock, ContentKind, EventId, EventKind, Lane, MessageId, Network, SessionId, SystemEdges, Timestamp, WorkspaceId,
};

use crate::driver::Sql;
use crate::driver::value::params;
use crate::messages::{self, InboundDraft, Message, NewInbound, NewOutbound, OutboundDraft};
use crate::sessions::{self, Fence, NewSession};
use crate::{Queue, ReadTx, SessionKeys, Storage, StorageConfig, StorageError, Tx, WorkspaceKeys, events, workspaces};

/// A clock that moves when it is told to.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands at a time after the epoch.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_700_000_000_000)))
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

type Spare = Box<dyn FnOnce() -> StorageConfig + Send>;

/// An open, empty database.
pub struct Subject {
    /// The database.
    pub storage: Storage,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its one workspace.
    pub workspace: WorkspaceId,
    /// An empty place of any dialect, for one restore.
    spare: Mutex<Option<Spare>>,
    count: AtomicU32,
    _keep: Box<dyn Any + Send + Sync>,
}

/// What a case needs of a session.
#[derive(Clone, Debug)]
pub(crate) struct Linked {
    pub(crate) id: SessionId,
    pub(crate) fence: Fence,
    pub(crate) keys: Arc<SessionKeys>,
}

impl Subject {
    /// Opens a database. `keep` lives as long as the subject: a temporary directory, a server.
    ///
    /// # Panics
    /// The database does not open.
    pub async fn open(mut config: StorageConfig, keep: impl Any + Send + Sync) -> Self {
        let clock = ManualClock::new();
        config.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let storage = Storage::open(config).await.unwrap();
        let workspace = storage.ensure_default_workspace().await.unwrap().id;
        Self {
            storage,
            clock,
            workspace,
            spare: Mutex::new(None),
            count: AtomicU32::new(0),
            _keep: Box::new(keep),
        }
    }

    /// Makes a place that the first restore of a case goes into; the others go into a directory.
    #[must_use]
    pub fn with_spare(self, make: impl FnOnce() -> StorageConfig + Send + 'static) -> Self {
        *self.spare.lock().unwrap() = Some(Box::new(make));
        self
    }

    pub(crate) fn take_spare(&self) -> Option<StorageConfig> {
        let make = self.spare.lock().unwrap().take();
        make.map(|make| make())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> T
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        self.storage.write(Queue::Normal, work).await.unwrap()
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> T
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut ReadTx) -> BoxFuture<'a, Result<T, StorageError>> + Send + 'static,
    {
        self.storage.read(work).await.unwrap()
    }

    /// A second workspace.
    pub(crate) async fn other_workspace(&self) -> WorkspaceId {
        let id = WorkspaceId::generate(&SystemEdges, &SystemEdges);
        let workspace = workspaces::Workspace {
            id,
            name: "other".to_owned(),
            created_at: self.now(),
        };
        let key = self.storage.new_workspace_key(id).unwrap();
        self.write(move |tx| Box::pin(async move { workspaces::create(tx, &workspace, &key).await }))
            .await;
        id
    }

    pub(crate) fn new_session(&self, name: &str) -> NewSession {
        let id = SessionId::generate(&SystemEdges, &SystemEdges);
        NewSession {
            id,
            workspace_id: self.workspace,
            name: name.to_owned(),
            network: Network::Sandbox,
            device: None,
            pacing: None,
            metadata: None,
            proxy: None,
            keys: self.storage.new_session_keys(id).unwrap().1,
            fingerprint: None,
            epoch: 0,
            created_by: None,
            created_at: self.now(),
        }
    }

    /// A session that the caller owns.
    pub(crate) async fn session(&self, name: &str) -> Linked {
        let session = self.new_session(name);
        let id = session.id;
        let fence = self
            .write(move |tx| {
                Box::pin(async move {
                    sessions::create(tx, &session).await?;
                    sessions::claim(tx, id, "node", None).await
                })
            })
            .await;
        Linked {
            id,
            fence,
            keys: self.storage.session_keys(id).await.unwrap(),
        }
    }

    pub(crate) async fn workspace_keys(&self) -> Arc<WorkspaceKeys> {
        self.storage.workspace_keys(self.workspace).await.unwrap()
    }

    /// An outbound message that nothing delays.
    pub(crate) fn outbound(&self, session: &Linked, lane: Lane, chat: &str) -> NewOutbound {
        self.outbound_at(session, lane, chat, self.now(), None)
    }

    pub(crate) fn outbound_at(
        &self,
        session: &Linked,
        lane: Lane,
        chat: &str,
        due_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> NewOutbound {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        OutboundDraft {
            id: MessageId::generate(&SystemEdges, &SystemEdges),
            workspace_id: self.workspace,
            session_id: session.id,
            lane,
            kind: ContentKind::Text,
            chat,
            to: "+15551234567",
            body: b"hello",
            secret: &[7; 32],
            metadata: Some(b"{}"),
            whatsapp_id: &format!("3EB0{number:08X}"),
            due_at,
            expires_at,
            created_at: self.now(),
            wording: None,
        }
        .seal(&session.keys)
        .unwrap()
    }

    pub(crate) fn inbound(&self, session: &Linked, chat: &str, sender: &str, whatsapp_id: &str) -> NewInbound {
        InboundDraft {
            id: MessageId::generate(&SystemEdges, &SystemEdges),
            workspace_id: self.workspace,
            session_id: session.id,
            kind: ContentKind::Text,
            chat,
            sender,
            body: b"hi",
            secret: None,
            whatsapp_id,
            sent_at: None,
            created_at: self.now(),
        }
        .seal(&session.keys)
        .unwrap()
    }

    /// Accepts messages and says their ids.
    pub(crate) async fn accept(&self, new: Vec<NewOutbound>) -> Vec<MessageId> {
        let ids = new.iter().map(|message| message.id).collect();
        self.write(move |tx| {
            Box::pin(async move {
                for message in &new {
                    messages::insert_outbound(tx, message).await?;
                }
                Ok(())
            })
        })
        .await;
        ids
    }

    pub(crate) async fn message(&self, id: MessageId) -> Message {
        let workspace = self.workspace;
        self.read(move |tx| Box::pin(messages::get(tx, workspace, id)))
            .await
            .unwrap()
    }

    /// The ids of what would be sent now.
    pub(crate) async fn next(&self, session: &Linked) -> Vec<MessageId> {
        let (id, now) = (session.id, self.now());
        let next = self
            .read(move |tx| Box::pin(messages::next_outbound(tx, id, now, 100)))
            .await;
        next.into_iter().map(|message| message.id).collect()
    }

    pub(crate) async fn send(&self, session: &Linked, id: MessageId) -> bool {
        let (fence, now) = (session.fence, self.now());
        self.write(move |tx| Box::pin(async move { messages::mark_sending(tx, &fence, id, now).await }))
            .await
    }

    /// An event sealed by the workspace.
    pub(crate) async fn event(&self, kind: EventKind, data: &[u8]) -> events::Event {
        let id = EventId::generate(&SystemEdges, &SystemEdges);
        let data = self.workspace_keys().await.seal_event(id, data).unwrap();
        events::Event {
            id,
            workspace_id: self.workspace,
            session_id: None,
            kind,
            data,
            created_at: self.now(),
        }
    }

    /// Appends events and waits until they can be read.
    pub(crate) async fn append(&self, events: Vec<events::Event>) {
        let last = events.last().map(|event| event.id);
        self.write(move |tx| {
            Box::pin(async move {
                for event in &events {
                    events::append(tx, event).await?;
                }
                Ok(())
            })
        })
        .await;
        let mut changes = self.storage.changes();
        while let Some(id) = last {
            changes.borrow_and_update();
            if self.is_readable(id).await {
                return;
            }
            changes.changed().await.unwrap();
        }
    }

    async fn is_readable(&self, id: EventId) -> bool {
        const READABLE: Sql = Sql {
            sqlite: "select 1 from events where id = $1",
            // Differs: what is committed can be read once everything older has ended.
            postgres: "select 1 from events where id = $1 and txid < pg_snapshot_xmin(pg_current_snapshot())",
        };
        let found = self.read(move |tx| Box::pin(async move { tx.first(READABLE, params![&id]).await }));
        found.await.is_some()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}
