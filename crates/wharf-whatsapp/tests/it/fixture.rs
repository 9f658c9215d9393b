//! A world for each test: a sandbox, a database and the network between them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wharf_model::{CloseReason, Content, Jid, Network, Phone, SessionId, SystemEdges, WorkspaceId};
use wharf_sandbox::{Direction, NewPhone, Observation, Observed, PhoneInfo, Sandbox, SandboxConfig};
use wharf_session::port::{
    ClientEvent, ClientSetup, InboundError, InboundMessage, InboundSink, OutboundMessage, SessionLease, WhatsAppClient,
    WhatsAppNetwork,
};
use wharf_storage::sessions::{self, NewSession};
#[cfg(feature = "sandbox")]
use wharf_storage::wa_state;
use wharf_storage::{Durability, MasterKey, Queue, Storage, StorageConfig};
use wharf_whatsapp::{EngineConfig, EngineNetwork};

/// Far more than anything here takes; a wait names what it waits for when this runs out.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a phone of the sandbox sends to a new companion: keys of the app state, and three parts of its history.
const GREETING: usize = 4;

pub struct World {
    pub sandbox: Sandbox,
    pub storage: Storage,
    pub network: EngineNetwork,
    workspace: WorkspaceId,
    _dir: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let config = SandboxConfig {
            stanza_log: 10_000,
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        Self::with_chat_url(sandbox.chat_url(), sandbox).await
    }

    pub async fn with_chat_url(chat_url: String, sandbox: Sandbox) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = StorageConfig::new(dir.path(), Network::Sandbox);
        config.durability = Durability::Process;
        config.url = wharf_testkit::postgres::database_url_for_tests();
        config.master_key = Some(MasterKey::from_bytes([3; 32]));
        let storage = Storage::open(config).await.unwrap();
        let workspace = storage.ensure_default_workspace().await.unwrap().id;
        let network = network(chat_url, &storage);
        Self {
            sandbox,
            storage,
            network,
            workspace,
            _dir: dir,
        }
    }

    pub async fn phone(&self, name: &str) -> PhoneInfo {
        self.sandbox
            .create_phone(NewPhone {
                phone: None,
                name: Some(name.to_owned()),
                ..NewPhone::default()
            })
            .await
            .unwrap()
    }

    /// A new session with an owner.
    pub async fn session(&self) -> SessionLease {
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
        self.claim(id).await
    }

    /// Makes a new owner of the session; the one before is fenced out.
    pub async fn claim(&self, id: SessionId) -> SessionLease {
        let fence = self
            .storage
            .write(Queue::Normal, move |tx| Box::pin(sessions::claim(tx, id, "test", None)))
            .await
            .unwrap();
        SessionLease {
            workspace: self.workspace,
            session: id,
            epoch: fence.epoch,
        }
    }

    /// As after a start of the process: nothing is known but what is stored.
    #[cfg(feature = "sandbox")]
    pub fn restart(&mut self) {
        self.network = network(self.sandbox.chat_url(), &self.storage);
    }

    /// What a crash leaves that comes between the ratchet's write and the message's: the ratchet alone.
    #[cfg(feature = "sandbox")]
    pub async fn forget_uncommitted(&self, lease: SessionLease) {
        let fence = sessions::Fence {
            session: lease.session,
            epoch: lease.epoch,
        };
        let forgotten = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { wa_state::delete_kind(tx, &fence, "pending_inbound").await })
        });
        assert_eq!(forgotten.await.unwrap(), 1, "a message waited for its commit");
    }

    pub async fn client(&self, lease: SessionLease) -> TestClient {
        self.client_with(lease, ClientSetup::default()).await
    }

    pub async fn client_with(&self, lease: SessionLease, setup: ClientSetup) -> TestClient {
        let (events, heard) = mpsc::unbounded_channel();
        let (messages, inbound) = mpsc::unbounded_channel();
        let refusing = Arc::new(AtomicBool::new(false));
        let sink = Arc::new(Inbox {
            messages,
            refusing: Arc::clone(&refusing),
        });
        let client = self.network.client(lease, setup, events, sink).await.unwrap();
        TestClient {
            client,
            refusing,
            heard,
            passed: Vec::new(),
            inbound,
            run: None,
        }
    }

    /// A client that is linked to the phone, open, and through with what the phone sends to a new companion.
    #[cfg(feature = "sandbox")]
    pub async fn linked(&self, lease: SessionLease, phone: &PhoneInfo) -> TestClient {
        let client = self.linked_with(lease, phone, ClientSetup::default()).await;
        self.greeted(&phone.phone).await;
        client
    }

    /// A client that is linked to the phone and open.
    pub async fn linked_with(&self, lease: SessionLease, phone: &PhoneInfo, setup: ClientSetup) -> TestClient {
        let mut client = self.client_with(lease, setup).await;
        client.start();
        let qr = client.until("a QR", |event| match event {
            ClientEvent::Qr { text, .. } => Some(text.clone()),
            _ => None,
        });
        let qr = qr.await;
        self.sandbox.scan(&phone.phone, &qr).await.unwrap();
        client.closed(CloseReason::RestartRequired).await;
        client.open().await;
        client
    }

    /// Waits until the companion has all of the phone's greeting. What a shutdown finds on its way to its row may come
    /// again on the next connection, and end that one (see `redelivery`): not a matter for tests of something else.
    async fn greeted(&self, phone: &str) {
        let taken = RefCell::new(HashSet::new());
        let all_taken = |observation: &Observation| {
            if let Observed::Stanza(stanza) = &observation.what
                && stanza.direction == Direction::FromClient
                && stanza.kind.as_deref() == Some("peer_msg")
                && stanza.phone.as_deref() == Some(phone)
            {
                taken.borrow_mut().extend(stanza.id.clone());
            }
            taken.borrow().len() == GREETING
        };
        let greeted = self.sandbox.wait_for_observation(all_taken, PATIENCE);
        greeted.await.expect("the companion takes the phone's greeting");
    }

    /// The end of every test: nothing was asked that the sandbox does not imitate.
    #[cfg(feature = "sandbox")]
    pub async fn finish(self) {
        assert_eq!(self.sandbox.unhandled().await, Vec::new());
        self.sandbox.stop().await;
    }
}

fn network(chat_url: String, storage: &Storage) -> EngineNetwork {
    let engine = EngineConfig {
        chat_url,
        version_page: None,
        ..EngineConfig::default()
    };
    EngineNetwork::new(engine, storage.clone(), Arc::new(SystemEdges)).unwrap()
}

/// Keeps what is committed, or refuses to.
#[derive(Debug)]
struct Inbox {
    messages: mpsc::UnboundedSender<InboundMessage>,
    refusing: Arc<AtomicBool>,
}

#[async_trait]
impl InboundSink for Inbox {
    async fn commit(&self, batch: Vec<InboundMessage>) -> Result<(), InboundError> {
        if self.refusing.load(Ordering::SeqCst) {
            return Err(InboundError("told to refuse".into()));
        }
        for message in batch {
            self.messages.send(message).unwrap();
        }
        Ok(())
    }
}

pub struct TestClient {
    pub client: Arc<dyn WhatsAppClient>,
    pub refusing: Arc<AtomicBool>,
    heard: mpsc::UnboundedReceiver<ClientEvent>,
    passed: Vec<ClientEvent>,
    inbound: mpsc::UnboundedReceiver<InboundMessage>,
    run: Option<JoinHandle<()>>,
}

impl TestClient {
    /// Starts a run in the background.
    pub fn start(&mut self) {
        let client = Arc::clone(&self.client);
        self.run = Some(tokio::spawn(async move { client.run().await }));
    }

    /// Starts a run and waits until messages can flow.
    pub async fn open(&mut self) {
        self.start();
        self.until("the login", |event| {
            matches!(event, ClientEvent::LoggedIn).then_some(())
        })
        .await;
        self.until("messages to flow", |event| {
            matches!(event, ClientEvent::Opened(_)).then_some(())
        })
        .await;
    }

    /// The first event that the test likes; the ones before it are kept for later questions.
    pub async fn until<T>(&mut self, what: &str, like: impl Fn(&ClientEvent) -> Option<T>) -> T {
        if let Some(place) = self.passed.iter().position(|event| like(event).is_some()) {
            let event = self.passed.remove(place);
            return like(&event).expect("it was liked a moment ago");
        }
        let (heard, passed) = (&mut self.heard, &mut self.passed);
        let found = async move {
            loop {
                let event = heard.recv().await.expect("the client lives");
                if let Some(found) = like(&event) {
                    return found;
                }
                assert!(
                    !matches!(event, ClientEvent::Closed { .. }),
                    "waited for {what}, got {event:?}"
                );
                passed.push(event);
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, found).await;
        outcome.unwrap_or_else(|_| panic!("waited too long for {what}; came: {:?}", self.passed))
    }

    /// Waits for the end of the run with this reason; gives the detail.
    pub async fn closed(&mut self, expected: CloseReason) -> Option<String> {
        let (reason, detail) = self.ended().await;
        assert_eq!(reason, expected, "{detail:?}");
        detail
    }

    /// Waits for the end of the run, and that it is the last word.
    pub async fn ended(&mut self) -> (CloseReason, Option<String>) {
        let end = self
            .until("the end", |event| match event {
                ClientEvent::Closed { reason, detail } => Some((*reason, detail.clone())),
                _ => None,
            })
            .await;
        let run = self.run.take().expect("a run");
        tokio::time::timeout(PATIENCE, run)
            .await
            .expect("the run returns")
            .unwrap();
        assert!(self.heard.try_recv().is_err(), "nothing comes after Closed");
        end
    }

    /// The next message that was committed.
    pub async fn next_message(&mut self) -> InboundMessage {
        match tokio::time::timeout(PATIENCE, self.inbound.recv()).await {
            Ok(message) => message.expect("the client lives"),
            Err(_) => {
                let came: Vec<_> = std::iter::from_fn(|| self.heard.try_recv().ok()).collect();
                panic!("waited too long for a message; came: {:?} {came:?}", self.passed)
            }
        }
    }

    /// Whether nothing was committed.
    pub fn heard_nothing(&mut self) -> bool {
        self.inbound.try_recv().is_err()
    }
}

pub fn jid(phone: &str) -> Jid {
    phone.parse::<Phone>().unwrap().to_jid()
}

pub fn text(id: &str, to: &str, body: &str) -> OutboundMessage {
    OutboundMessage {
        whatsapp_id: id.to_owned(),
        secret: [42; 32],
        to: jid(to),
        content: Content::text(body),
    }
}
