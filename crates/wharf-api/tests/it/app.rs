//! One server with all that it stands on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_api::keys::ApiKey;
use wharf_api::{ApiConfig, ApiParts, ApiState, Caller, CookieLogin, Readiness, Scope};
use wharf_model::{ApiKeyId, Clock, Network, PacingPolicy, SessionId, SystemEdges, Timestamp, WorkspaceId};
use wharf_net::Reach;
use wharf_otp::{Deliveries, OtpConfig, OtpDeps, Verifications};
use wharf_session::{SessionConfig, SessionDeps, Sessions};
use wharf_storage::api_keys::NewApiKey;
use wharf_storage::workspaces::Workspace;
use wharf_storage::{MasterKey, Queue, Storage, StorageConfig, api_keys, workspaces};
use wharf_vault::destination::{Database, Places, Reaches, VaultConfig};
use wharf_whatsapp::EngineFormat;

use crate::script::{ScriptedClient, ScriptedNetwork, Unreachable};

/// A clock that a test may move forward, or stop; it shows the real time until then.
#[derive(Debug, Default)]
pub struct MovableClock {
    ahead: AtomicI64,
    /// Where it was stopped; 0 while it runs.
    stopped_at: AtomicI64,
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        let ahead = u64::try_from(self.ahead.load(Ordering::SeqCst)).unwrap_or(0);
        let shown = match self.stopped_at.load(Ordering::SeqCst) {
            0 => SystemEdges.now(),
            at => Timestamp::from_millis(at),
        };
        shown + Duration::from_millis(ahead)
    }
}

impl MovableClock {
    pub fn advance(&self, by: Duration) {
        self.ahead
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// From now on only [`Self::advance`] moves it. Not in the last minute of a day: quotas and statistics are of days, and
    /// tests pass half a minute within one.
    pub fn stop(&self) {
        const MINUTE: i64 = 60_000;
        const DAY: i64 = 24 * 60 * MINUTE;
        let now = SystemEdges.now().as_millis();
        let left = DAY - now.rem_euclid(DAY);
        let at = if left <= MINUTE { now + left } else { now };
        self.stopped_at.store(at, Ordering::SeqCst);
    }
}

#[derive(Debug, Default)]
pub struct Switch(pub Mutex<Option<String>>);

#[async_trait]
impl Readiness for Switch {
    async fn check(&self) -> Result<(), String> {
        self.0.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[derive(Debug)]
struct DemoLogin(WorkspaceId);

#[async_trait]
impl CookieLogin for DemoLogin {
    fn cookie_name(&self) -> &str {
        "wharf_demo"
    }

    async fn caller(&self, value: &str) -> Option<Caller> {
        (value == "let-me-in").then(|| Caller::page(self.0, vec![Scope::SessionsRead, Scope::SessionsWrite]))
    }
}

pub struct App {
    pub http: Client,
    pub url: String,
    pub network: Arc<ScriptedNetwork>,
    pub storage: Storage,
    pub sessions: Sessions,
    pub verifications: Verifications,
    pub state: ApiState,
    pub workspace: WorkspaceId,
    pub clock: Arc<MovableClock>,
    pub readiness: Arc<Switch>,
    pub stop: CancellationToken,
    pub admin: String,
    _dir: TempDir,
}

impl App {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut ApiConfig)) -> Self {
        let mut config = ApiConfig::default();
        configure(&mut config);
        Self::start(config, OtpConfig::default()).await
    }

    /// With other settings of one-time passwords.
    pub async fn with_codes(configure: impl FnOnce(&mut OtpConfig)) -> Self {
        let mut codes = OtpConfig::default();
        configure(&mut codes);
        Self::start(ApiConfig::default(), codes).await
    }

    async fn start(config: ApiConfig, codes: OtpConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(MovableClock::default());
        let mut opening = StorageConfig::new(dir.path(), Network::Sandbox);
        opening.clock = clock.clone();
        opening.url = wharf_testkit::postgres::database_url_for_tests();
        opening.master_key = Some(MasterKey::from_bytes([3; 32]));
        let storage = Storage::open(opening).await.unwrap();
        let workspace = storage.ensure_default_workspace().await.unwrap().id;
        let (network, stop) = (ScriptedNetwork::new(), CancellationToken::new());
        let readiness = Arc::new(Switch::default());
        let deliveries = Deliveries::new(clock.clone(), Arc::new(SystemEdges));
        let sessions = Sessions::new(SessionDeps {
            codes: Some(deliveries.clone()),
            ..session_deps(&storage, &network, &clock, &stop)
        });
        let verifications = Verifications::new(OtpDeps {
            config: codes,
            sessions: sessions.clone(),
            storage: storage.clone(),
            deliveries,
            clock: clock.clone(),
            random: Arc::new(SystemEdges),
        });
        let vault = Database::new(storage.clone(), clock.clone(), Arc::new(SystemEdges));
        let state = ApiState::new(ApiParts {
            places: places(&vault),
            vault,
            sessions: sessions.clone(),
            verifications: verifications.clone(),
            storage: storage.clone(),
            config,
            clock: clock.clone(),
            random: Arc::new(SystemEdges),
            format: Arc::new(EngineFormat),
            login: Arc::new(Unreachable),
            network: Network::Sandbox,
            metrics: recorder(),
            readiness: readiness.clone(),
            version: "0.0.0-test".to_owned(),
            cookie_login: Some(Arc::new(DemoLogin(workspace))),
            shutdown: stop.clone(),
        });
        let url = serve(&state).await;
        let mut app = Self {
            http: client(),
            url,
            network,
            storage,
            sessions,
            verifications,
            state,
            workspace,
            clock,
            readiness,
            stop,
            admin: String::new(),
            _dir: dir,
        };
        app.admin = app.key(&[Scope::Admin]).await;
        app
    }

    /// Another node on the same database: the same API with what it knows of keys to itself. Returns its address.
    pub async fn second_node(&self) -> String {
        let vault = Database::new(self.storage.clone(), self.clock.clone(), Arc::new(SystemEdges));
        let state = ApiState::new(ApiParts {
            places: places(&vault),
            vault,
            sessions: self.sessions.clone(),
            verifications: self.verifications.clone(),
            storage: self.storage.clone(),
            config: ApiConfig::default(),
            clock: self.clock.clone(),
            random: Arc::new(SystemEdges),
            format: Arc::new(EngineFormat),
            login: Arc::new(Unreachable),
            network: Network::Sandbox,
            metrics: recorder(),
            readiness: self.readiness.clone(),
            version: "0.0.0-test".to_owned(),
            cookie_login: None,
            shutdown: self.stop.clone(),
        });
        serve(&state).await
    }

    /// A key of the default workspace.
    pub async fn key(&self, scopes: &[Scope]) -> String {
        self.key_with(self.workspace, |key| {
            key.scopes = scopes.iter().map(Scope::to_string).collect();
        })
        .await
    }

    pub async fn key_with(&self, workspace: WorkspaceId, change: impl FnOnce(&mut NewApiKey)) -> String {
        let key = ApiKey::generate(Network::Sandbox, &SystemEdges);
        let mut new = NewApiKey {
            id: ApiKeyId::generate(&*self.clock, &SystemEdges),
            workspace_id: workspace,
            label: "test".to_owned(),
            prefix: key.prefix(),
            hash: key.hash(),
            scopes: vec![Scope::Admin.to_string()],
            expires_at: None,
            ips: None,
            sessions: None,
            plan: None,
            created_by: None,
            created_at: self.clock.now(),
        };
        change(&mut new);
        let insert = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { api_keys::insert(tx, &new).await })
        });
        insert.await.unwrap();
        key.reveal().to_owned()
    }

    /// An admin key of another workspace.
    pub async fn stranger(&self) -> String {
        let id = WorkspaceId::generate(&*self.clock, &SystemEdges);
        let wrapped = self.storage.new_workspace_key(id).unwrap();
        let workspace = Workspace {
            id,
            name: "other".to_owned(),
            created_at: self.clock.now(),
        };
        let create = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { workspaces::create(tx, &workspace, &wrapped).await })
        });
        create.await.unwrap();
        self.key_with(id, |_| {}).await
    }

    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.admin)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    pub async fn session(&self) -> String {
        let created = self
            .post("/api/sessions", &json!({"name": "support"}))
            .send()
            .await
            .unwrap();
        text(&json_of(created, 201).await["id"])
    }

    /// A session that waits for its QR to be scanned, with its client.
    pub async fn pending(&self, qr: &str) -> (String, Arc<ScriptedClient>) {
        let id = self.session().await;
        let connect = self.request(Method::POST, &format!("/api/sessions/{id}/connect"));
        json_of(connect.send().await.unwrap(), 202).await;
        let client = self.network.next_client().await;
        client.running().await;
        client.show_qr(qr);
        self.until(&id, "scan_qr", |session| session["connection_step"] == "scan_qr")
            .await;
        (id, client)
    }

    /// A session that is linked and ready to send, with its client.
    pub async fn ready(&self) -> (String, Arc<ScriptedClient>) {
        self.ready_as("15550001111").await
    }

    /// The same with the account of a number.
    pub async fn ready_as(&self, number: &str) -> (String, Arc<ScriptedClient>) {
        let (id, client) = self.pending("2@x,y,z").await;
        self.network.link(session_id(&id));
        client.link_as(number);
        self.until(&id, "ready", |session| session["status"] == "ready").await;
        (id, client)
    }

    /// Waits until a session looks as wanted, told by its own stream.
    pub async fn until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut live = self.sessions.watch(self.workspace, id.parse().unwrap()).await.unwrap();
        let waiting = async {
            loop {
                live.borrow_and_update();
                let found = self.get(&format!("/api/sessions/{id}")).send().await.unwrap();
                let session = json_of(found, 200).await;
                if wanted(&session) {
                    return session;
                }
                live.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap_or_else(|_| panic!("the session never became {what}"))
    }

    pub async fn send(&self, session: &str, body: &str) -> Value {
        let message = message_to(session, body);
        json_of(self.post("/api/messages", &message).send().await.unwrap(), 202).await
    }
}

pub fn message_to(session: &str, body: &str) -> Value {
    json!({"session_id": session, "to": "+15551234567", "type": "text", "text": {"body": body}})
}

fn session_deps(
    storage: &Storage,
    network: &Arc<ScriptedNetwork>,
    clock: &Arc<MovableClock>,
    stop: &CancellationToken,
) -> SessionDeps {
    SessionDeps {
        config: SessionConfig {
            pacing: PacingPolicy::open(),
            start_jitter: Duration::ZERO,
            ..SessionConfig::default()
        },
        storage: storage.clone(),
        network: network.clone(),
        network_kind: Network::Sandbox,
        codes: None,
        clock: clock.clone(),
        random: Arc::new(SystemEdges),
        shutdown: stop.clone(),
        tasks: TaskTracker::new(),
    }
}

async fn serve(state: &ApiState) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = wharf_api::router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    url
}

pub fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// The recorder is the process's own; every test of this binary shares it.
fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER
        .get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
        .clone()
}

pub async fn json_of(response: Response, status: u16) -> Value {
    let found = response.status();
    let body = response.text().await.unwrap();
    assert_eq!(found.as_u16(), status, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Checks that an answer is the problem with this code, shape and headers included.
pub async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let found = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (found.as_u16(), body["code"].as_str().unwrap()),
        (status, code),
        "{body}"
    );
    assert_eq!(body["status"], status);
    assert_eq!(body["request_id"], id);
    assert_eq!(body["type"], format!("urn:wharf:problem:{code}"));
    body
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub fn session_id(text: &str) -> SessionId {
    text.parse().unwrap()
}

pub const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;

/// The database alone.
fn places(vault: &Database) -> Places {
    let config = VaultConfig {
        folder: None,
        bucket: None,
        mega: None,
        mega_api: "http://127.0.0.1:1/".parse().unwrap(),
    };
    let reaches = Reaches {
        configured: Reach::LoopbackOnly,
        named: Reach::LoopbackOnly,
    };
    Places::new(config, reaches, Some(vault.clone()), Arc::new(SystemEdges)).unwrap()
}
