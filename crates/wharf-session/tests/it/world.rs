//! A whole Wharf without HTTP and without WhatsApp: a real database of its own, a scripted network, and a
//! clock that stands still until the test moves it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_model::{
    Clock, Content, EventKind, Lane, MessageId, MessageStatus, Network, PacingPolicy, SessionId, SessionStatus,
    SystemEdges, Timestamp, WorkspaceId,
};
use wharf_session::{
    MessageView, NewMessage, NewSession, Outcome, SessionConfig, SessionDeps, SessionPatch, SessionView, Sessions,
};
use wharf_storage::events::{self, EventFilter};
use wharf_storage::{MasterKey, Storage, StorageConfig};

use crate::script::{ScriptedClient, ScriptedNetwork};

/// Nothing that these tests wait for takes this long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct StillClock(AtomicI64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub struct World {
    pub network: Arc<ScriptedNetwork>,
    pub storage: Storage,
    pub sessions: Sessions,
    pub workspace: WorkspaceId,
    pub clock: Arc<StillClock>,
    config: SessionConfig,
    _dir: TempDir,
    /// While a blocking task runs, tokio's stopped clock does not run ahead by itself when everybody waits for storage.
    _still: std::sync::mpsc::Sender<()>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut SessionConfig)) -> Self {
        let (still, over) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || over.recv());
        tokio::time::pause();
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(StillClock(AtomicI64::new(1_800_000_000_000)));
        let mut opening = StorageConfig::new(dir.path(), Network::Sandbox);
        opening.clock = clock.clone();
        opening.url = wharf_testkit::postgres::database_url_for_tests();
        opening.master_key = Some(MasterKey::from_bytes([3; 32]));
        let storage = Storage::open(opening).await.unwrap();
        let workspace = storage.ensure_default_workspace().await.unwrap().id;
        let mut config = SessionConfig {
            pacing: PacingPolicy::open(),
            start_jitter: Duration::ZERO,
            ..Default::default()
        };
        configure(&mut config);
        let network = ScriptedNetwork::new();
        let sessions = start(&config, &storage, &network, &clock);
        Self {
            network,
            storage,
            sessions,
            workspace,
            clock,
            config,
            _dir: dir,
            _still: still,
        }
    }

    /// The process stops gracefully and starts again on the same database.
    pub async fn restart(&mut self) {
        self.sessions.drained().await;
        self.sessions = start(&self.config, &self.storage, &self.network, &self.clock);
    }

    pub async fn advance(&self, by: Duration) {
        self.clock
            .0
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
        // Timers round up to the next millisecond.
        tokio::time::advance(by + Duration::from_millis(1)).await;
    }

    /// The time of day goes ahead; timers do not.
    pub fn set_clock_ahead(&self, by: Duration) {
        self.clock
            .0
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// The time of day goes back; timers do not.
    pub fn set_clock_back(&self, by: Duration) {
        self.clock
            .0
            .fetch_sub(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub async fn create(&self) -> SessionId {
        let new = NewSession {
            name: "support".to_owned(),
            ..NewSession::default()
        };
        match self.sessions.create(self.workspace, new, None).await.unwrap() {
            Outcome::New(view) => view.id,
            Outcome::Replayed(_) => unreachable!("no key was given"),
        }
    }

    /// A session that is linked and ready, with its client.
    pub async fn ready(&self) -> (SessionId, Arc<ScriptedClient>) {
        let id = self.create().await;
        self.network.link(id);
        self.sessions.connect(self.workspace, id).await.unwrap();
        let client = self.network.next_client().await;
        client.open(1).await;
        self.until_status(id, SessionStatus::Ready).await;
        (id, client)
    }

    pub async fn session(&self, id: SessionId) -> SessionView {
        self.sessions.get(self.workspace, id).await.unwrap()
    }

    pub async fn until_status(&self, id: SessionId, status: SessionStatus) -> SessionView {
        let mut live = self.sessions.watch(self.workspace, id).await.unwrap();
        live.wait_for(|live| live.state.status() == status).await.unwrap();
        self.session(id).await
    }

    pub fn text(&self, session: SessionId, to: &str, body: &str) -> NewMessage {
        NewMessage {
            session_id: session,
            to: to.parse().unwrap(),
            content: Content::text(body),
            lane: Lane::Interactive,
            send_at: None,
            expires_in: None,
            metadata: None,
            allowance: None,
        }
    }

    pub async fn accept(&self, new: NewMessage) -> MessageView {
        match self.sessions.accept(self.workspace, new, None).await.unwrap() {
            Outcome::New(view) => view,
            Outcome::Replayed(_) => unreachable!("no key was given"),
        }
    }

    pub async fn send(&self, session: SessionId, to: &str, body: &str) -> MessageView {
        self.accept(self.text(session, to, body)).await
    }

    pub async fn message(&self, id: MessageId) -> MessageView {
        self.sessions.message(self.workspace, id).await.unwrap()
    }

    /// Waits until a message is as wanted. Timers may run for up to two seconds meanwhile (receipts linger, and an actor
    /// without a connection looks for what expired); the time of day stands still.
    pub async fn until_message(&self, id: MessageId, wanted: impl Fn(&MessageView) -> bool) -> MessageView {
        let started = std::time::Instant::now();
        let mut ticks = 0..2000;
        loop {
            let view = self.message(id).await;
            if wanted(&view) {
                return view;
            }
            assert!(started.elapsed() < PATIENCE, "the message stays {:?}", view.status);
            match ticks.next() {
                Some(_) => tokio::time::advance(Duration::from_millis(1)).await,
                None => tokio::task::yield_now().await,
            }
        }
    }

    pub async fn until_sent(&self, id: MessageId, status: MessageStatus) -> MessageView {
        self.until_message(id, |view| view.status == status).await
    }

    /// Waits until the actor has looked at its rows, after everything that was committed before.
    pub async fn looked(&self, id: SessionId) {
        for _ in 0..2 {
            let patch = SessionPatch {
                name: Some("support".to_owned()),
                ..SessionPatch::default()
            };
            self.sessions.patch(self.workspace, id, patch).await.unwrap();
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Everything in the event log, opened.
    pub async fn events(&self) -> Vec<(EventKind, serde_json::Value)> {
        let workspace = self.workspace;
        self.storage.until_events_are_readable().await;
        let page = self
            .storage
            .read(move |tx| {
                Box::pin(async move { events::read(tx, workspace, None, &EventFilter::default(), 1000).await })
            })
            .await
            .unwrap();
        let mut opened = Vec::new();
        for logged in page.events {
            let data = self.storage.open_event(&logged.event).await.unwrap();
            let data = data.map_or(serde_json::Value::Null, |data| serde_json::from_slice(&data).unwrap());
            opened.push((logged.event.kind, data));
        }
        opened
    }

    pub async fn kinds(&self) -> Vec<&'static str> {
        self.events().await.into_iter().map(|(kind, _)| kind.as_str()).collect()
    }
}

fn start(
    config: &SessionConfig,
    storage: &Storage,
    network: &Arc<ScriptedNetwork>,
    clock: &Arc<StillClock>,
) -> Sessions {
    Sessions::new(SessionDeps {
        config: config.clone(),
        storage: storage.clone(),
        network: network.clone(),
        network_kind: Network::Sandbox,
        codes: None,
        clock: clock.clone(),
        random: Arc::new(SystemEdges),
        shutdown: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
}

/// Lets every task run that can, then says whether the future was ready.
pub async fn is_pending(future: impl Future) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..20 {
        if futures::poll!(&mut future).is_ready() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}
