//! One session, its owner, a friend to write with, and the day that they have.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_model::{
    Clock, CloseReason, Content, Direction, Lane, MessageStatus, Network, PacingPolicy, SessionId, SessionState,
    SessionStatus, SystemEdges, Timestamp, WorkspaceId,
};
use wharf_sandbox::{Action, DeviceId, FaultGuard, NewPhone, Observed, Rule, Sandbox, SandboxConfig};
use wharf_session::{
    MessageQuery, MessageView, NewMessage, NewSession, Outcome, SessionConfig, SessionDeps, SessionView, Sessions,
};
use wharf_storage::{Durability, MasterKey, PageRequest, Storage, StorageConfig};
use wharf_whatsapp::{EngineConfig, EngineNetwork};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(100);
/// How long a session that rests is looked at: six minutes of its own time, more than the longest pause between two
/// tries.
const REST: Duration = Duration::from_secs(6);
/// How much faster than the machine's the clock runs.
const SPEED: i64 = 60;

/// A clock for back-offs: a minute takes a second. It can be put forward and back.
#[derive(Debug)]
pub struct FastClock {
    begun: Instant,
    start: Timestamp,
    moved: AtomicI64,
}

impl FastClock {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            start: SystemEdges.now(),
            moved: AtomicI64::new(0),
        }
    }

    /// Puts it forward, or back.
    pub fn jump(&self, millis: i64) {
        self.moved.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let ran = i64::try_from(self.begun.elapsed().as_millis()).unwrap() * SPEED;
        Timestamp::from_millis(self.start.as_millis() + ran + self.moved.load(Ordering::SeqCst))
    }

    fn until(&self, at: Timestamp) -> Duration {
        at.since(self.now()) / u32::try_from(SPEED).unwrap()
    }
}

/// See the module.
pub struct Day {
    pub network: Sandbox,
    /// The session owner's phone, and his friend's.
    pub own: String,
    pub friend: String,
    pub id: SessionId,
    /// The device that was linked in the morning.
    pub device: DeviceId,
    pub clock: Arc<FastClock>,
    sessions: Sessions,
    storage: Storage,
    workspace: WorkspaceId,
    texts: AtomicUsize,
    /// Losses that were waited for.
    losses: AtomicUsize,
    _dir: TempDir,
}

impl Day {
    /// Begins well: linked, ready, and a word in each direction.
    pub async fn new() -> Self {
        let network = Sandbox::start(SandboxConfig {
            stanza_log: 100_000,
            ..SandboxConfig::default()
        });
        let network = network.await.unwrap();
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FastClock::new()));
        let mut config = StorageConfig::new(dir.path(), Network::Sandbox);
        config.durability = Durability::Process;
        config.url = wharf_testkit::postgres::database_url_for_tests();
        config.master_key = Some(MasterKey::from_bytes([3; 32]));
        config.clock = Arc::clone(&clock) as _;
        let storage = Storage::open(config).await.unwrap();
        let workspace = storage.ensure_default_workspace().await.unwrap().id;
        let sessions = serve(&network, &storage, &clock);
        let new = NewSession {
            name: "day".to_owned(),
            ..NewSession::default()
        };
        let Outcome::New(view) = sessions.create(workspace, new, None).await.unwrap() else {
            panic!("no key was given");
        };
        let mut day = Self {
            own: network.create_phone(NewPhone::default()).await.unwrap().phone,
            friend: network.create_phone(NewPhone::default()).await.unwrap().phone,
            id: view.id,
            device: DeviceId::default(),
            network,
            clock,
            sessions,
            storage,
            workspace,
            texts: AtomicUsize::new(0),
            losses: AtomicUsize::new(0),
            _dir: dir,
        };
        day.link().await;
        day.goes_on().await;
        day
    }

    /// Shows a QR to its owner's phone.
    async fn link(&mut self) {
        self.connect().await;
        let mut live = self.sessions.watch(self.workspace, self.id).await.unwrap();
        let shown = live.wait_for(|live| live.qr.is_some());
        let shown = tokio::time::timeout(PATIENCE, shown).await.expect("a QR").unwrap();
        let qr = shown.qr.as_ref().unwrap().text.clone();
        drop(shown);
        self.device = self.network.scan(&self.own, &qr).await.unwrap();
    }

    pub async fn connect(&self) {
        self.sessions.connect(self.workspace, self.id).await.unwrap();
    }

    pub async fn view(&self) -> SessionView {
        self.sessions.get(self.workspace, self.id).await.unwrap()
    }

    /// The server stops gracefully, is away for a while, and starts again on the same database.
    pub async fn restart(&mut self, away: Duration) {
        self.stop().await;
        tokio::time::sleep(away).await;
        self.start();
    }

    pub async fn stop(&self) {
        self.sessions.drained().await;
    }

    pub fn start(&mut self) {
        self.sessions = serve(&self.network, &self.storage, &self.clock);
    }

    /// A fault on the connections of this account.
    pub fn fault(&self, action: Action) -> FaultGuard {
        self.network.fault(Rule::new(action).account(&self.own)).unwrap()
    }

    /// The same, so many times.
    pub fn fault_times(&self, action: Action, times: u64) -> FaultGuard {
        let rule = Rule::new(action).account(&self.own).times(times);
        self.network.fault(rule).unwrap()
    }

    /// A fault that happens to the connection that is open.
    pub fn strike(&self, action: Action) {
        let rule = Rule::new(action).account(&self.own).now();
        // What it did stays done.
        drop(self.network.fault(rule).unwrap());
    }

    /// Waits until the session's state is like this.
    async fn until(&self, what: &str, wanted: impl Fn(&SessionState) -> bool) -> SessionView {
        let begun = Instant::now();
        loop {
            let view = self.view().await;
            if wanted(&view.state) {
                return view;
            }
            let waited = begun.elapsed();
            assert!(waited < PATIENCE, "not {what} after {waited:?}, but {:?}", view.state);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the connection is lost, once more, for this reason. It may be back by then.
    pub async fn loses(&self, wanted: CloseReason) {
        let (begun, known) = (Instant::now(), self.losses.load(Ordering::SeqCst));
        loop {
            let reasons = self.reasons().await;
            if reasons.len() > known {
                let lost = &reasons[known..];
                if lost.iter().any(|reason| reason == wanted.code()) {
                    self.losses.store(reasons.len(), Ordering::SeqCst);
                    return;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "not {wanted}, but {reasons:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// It is, or gets, ready on its own, as the device that it was, and works in both directions.
    pub async fn goes_on(&self) {
        self.until("ready", |state| matches!(state, SessionState::Ready)).await;
        self.writes().await;
        self.hears().await;
        assert_eq!(self.devices().await, [self.device], "it is linked as it was");
        assert_eq!(self.network.unhandled().await, Vec::new());
    }

    /// It ends like this and does not try again on its own.
    pub async fn ends(&self, status: SessionStatus, reason: CloseReason) {
        let view = self
            .until(reason.code(), |state| {
                state.reason() == Some(reason) && state.next_attempt_at().is_none()
            })
            .await;
        assert_eq!(view.status(), status);
        let logins = self.logins();
        tokio::time::sleep(REST).await;
        let view = self.view().await;
        assert_eq!((view.status(), view.state.reason()), (status, Some(reason)));
        assert_eq!(self.logins(), logins, "it does not try again on its own");
    }

    /// How often somebody logged in, or tried to.
    pub fn logins(&self) -> usize {
        let seen = self.network.stanza_log(0, usize::MAX).unwrap();
        assert!(!seen.missed);
        let logins = seen
            .observations
            .iter()
            .filter(|line| matches!(line.what, Observed::Login(_)));
        logins.count()
    }

    pub async fn devices(&self) -> Vec<DeviceId> {
        let phone = self.network.phone(&self.own).await.unwrap();
        phone.devices.iter().map(|device| device.device).collect()
    }

    fn next_text(&self) -> String {
        format!("text {}", self.texts.fetch_add(1, Ordering::SeqCst))
    }

    /// Accepts a message to the friend.
    pub async fn accept(&self) -> (MessageView, String) {
        let text = self.next_text();
        let new = NewMessage {
            session_id: self.id,
            to: format!("+{}", self.friend.trim_start_matches('+')).parse().unwrap(),
            content: Content::text(text.clone()),
            lane: Lane::Interactive,
            send_at: None,
            expires_in: None,
            metadata: None,
            allowance: None,
        };
        let Outcome::New(message) = self.sessions.accept(self.workspace, new, None).await.unwrap() else {
            panic!("no key was given");
        };
        (message, text)
    }

    /// Waits until the server has the message and the friend's phone shows it, once.
    pub async fn arrives(&self, (message, text): (MessageView, String)) {
        let shown = self
            .network
            .wait_for_message(&self.friend, |own| own.text == text, PATIENCE);
        shown.await.unwrap_or_else(|_| panic!("{text} does not arrive"));
        let begun = Instant::now();
        loop {
            let now = self.sessions.message(self.workspace, message.id).await.unwrap();
            let is_on_its_way = matches!(now.status, MessageStatus::Queued | MessageStatus::Sending);
            assert_ne!(now.status, MessageStatus::Failed, "{:?}", now.code);
            if !is_on_its_way {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{text} stays {}", now.status);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let chats = self.network.chats(&self.friend).await.unwrap();
        let copies = chats
            .iter()
            .flat_map(|chat| &chat.messages)
            .filter(|own| own.text == text);
        assert_eq!(copies.count(), 1, "{text} is there once");
    }

    /// A message goes out.
    pub async fn writes(&self) {
        self.arrives(self.accept().await).await;
    }

    /// The friend writes; nobody has to be connected.
    pub async fn friend_writes(&self) -> String {
        let text = self.next_text();
        self.network.send_text(&self.friend, &self.own, &text).await.unwrap();
        text
    }

    /// A message of the friend comes in.
    pub async fn hears(&self) {
        let text = self.friend_writes().await;
        self.has(&text).await;
    }

    /// Waits until a message of the friend is stored, and sees that it is stored once.
    pub async fn has(&self, text: &str) {
        let begun = Instant::now();
        loop {
            match self.inbound().await.iter().filter(|own| *own == text).count() {
                0 => assert!(begun.elapsed() < PATIENCE, "{text} does not come in"),
                count => return assert_eq!(count, 1, "{text} came in once"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn inbound(&self) -> Vec<String> {
        let query = MessageQuery {
            session: Some(self.id),
            direction: Some(Direction::Inbound),
            ..MessageQuery::default()
        };
        let page = self.sessions.messages(self.workspace, query, PageRequest::first(100));
        let rows = page.await.unwrap().rows;
        let texts = rows.into_iter().filter_map(|message| match message.content {
            Some(Content::Text(text)) => Some(text.body),
            _ => None,
        });
        texts.collect()
    }

    /// The reasons that the session's history names, in their order.
    pub async fn reasons(&self) -> Vec<String> {
        let history = self.sessions.history(self.workspace, self.id, PageRequest::first(100));
        let rows = history.await.unwrap().rows;
        rows.into_iter().rev().filter_map(|entry| entry.reason).collect()
    }
}

fn serve(network: &Sandbox, storage: &Storage, clock: &Arc<FastClock>) -> Sessions {
    let engine = EngineConfig {
        chat_url: network.chat_url(),
        version_page: None,
        connect_timeout: Duration::from_secs(5),
        ..EngineConfig::default()
    };
    // The engine's own time is the machine's: its keep-alive cannot be hurried.
    let engine = EngineNetwork::new(engine, storage.clone(), Arc::new(SystemEdges)).unwrap();
    Sessions::new(SessionDeps {
        config: SessionConfig {
            pacing: PacingPolicy::open(),
            start_jitter: Duration::ZERO,
            ack_timeout: Duration::from_secs(3),
            deaf_after: Duration::from_secs(40),
            stable_after: Duration::from_secs(1),
            ..SessionConfig::default()
        },
        storage: storage.clone(),
        network: Arc::new(engine),
        network_kind: Network::Sandbox,
        codes: None,
        clock: Arc::clone(clock) as _,
        random: Arc::new(SystemEdges),
        shutdown: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
}
