//! Owns the session generator: pages on which anybody links an account and gets a portable session string. Promises that
//! an attempt lives in memory alone, that nothing of it is left when it ends, and that only an attempt that came to
//! nothing is unlinked: a string that was handed out keeps working.
//!
//! An attempt is a session of its own [`Sessions`] on storage in memory: the same state machine, the same client, the same
//! export as everywhere else. What is kept is what the operator wants kept, and where: see [`Keeper`].

mod assets;
mod attempt;
mod attempts;
mod guard;
mod limits;
mod refusal;
mod routes;
mod step;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_api::AddressRange;
use wharf_model::{PacingPolicy, SystemEdges, WorkspaceId};
use wharf_session::{SessionConfig, SessionDeps, Sessions};
use wharf_storage::{Storage, StorageConfig};
use wharf_vault::destination::{Place, Places};
use wharf_whatsapp::{EngineConfig, EngineFormat, EngineNetwork};

use crate::lifecycle::{StopSignals, drain};
use crate::outcome::Outcome;
use crate::retention;
use crate::server::{self, NETWORK};
use attempts::Attempts;
use limits::Limits;

/// Section `generator`.
#[derive(Clone, Debug)]
pub struct GeneratorConfig {
    /// Whether `wharf serve` has the pages.
    pub enabled: bool,
    /// What strings begin with.
    pub prefix: String,
    /// How many attempts may run at once.
    pub attempts: usize,
    /// How many attempts an address may begin in an hour.
    pub per_address: u32,
    /// How many codes may be asked for a number in an hour, and in a day.
    pub per_phone: (u32, u32),
    /// Names under which the pages may be reached; empty: any, or on a loopback address those of this machine.
    pub hosts: Vec<String>,
    /// Origins of other pages that may use the generator.
    pub origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// Where strings are kept; without it nowhere.
    pub kept_at: Option<KeptAt>,
    /// How long the database keeps them.
    pub kept_for: Duration,
}

/// Where an operator lets the generator keep strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptAt {
    /// This server's database.
    Database,
    /// An account at MEGA.
    Mega,
    /// A bucket.
    S3,
    /// A folder.
    Folder,
}

impl GeneratorConfig {
    fn place(&self) -> Option<Place> {
        Some(match self.kept_at? {
            KeptAt::Database => Place::Database {
                lasts: self.kept_for,
                link: false,
            },
            KeptAt::Mega => Place::Mega,
            KeptAt::S3 => Place::S3,
            KeptAt::Folder => Place::Folder,
        })
    }
}

/// Where strings go, and who may ask for them again.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// The places of this server.
    pub places: Places,
    /// Whose they are.
    pub workspace: WorkspaceId,
}

/// One-time pre-keys that an attempt uploads. Who takes the string has none of them: the fewer there are, the sooner it
/// uploads its own.
const PRE_KEYS: usize = 5;

/// Nobody reads the events of attempts, and a database in memory stays as large as it ever was.
const EVENTS_KEPT: Duration = Duration::from_secs(5);

/// What attempts leave is cleared away this often, so that as little of it as can be lies about at a time.
const CLEARED_EVERY: Duration = Duration::from_secs(2);

/// How often limits that are whole again are forgotten.
const HOUSE_KEPT: Duration = Duration::from_secs(60);

/// How many credentials are looked at together.
const VALIDATED_AT_ONCE: usize = 4;

/// The running generator.
#[derive(Clone, Debug)]
pub struct Generator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: GeneratorConfig,
    sessions: Sessions,
    storage: Storage,
    workspace: WorkspaceId,
    format: EngineFormat,
    keeper: Keeper,
    attempts: Attempts,
    limits: Limits,
    /// Turns at credentials: each takes up to 32 MiB.
    validating: Arc<Semaphore>,
    /// Attempts that run.
    attempting: TaskTracker,
    /// Sessions and what keeps house.
    tasks: TaskTracker,
    /// Cancelled when no new attempt is to begin, and those that nobody linked yet are to end.
    stop: CancellationToken,
    /// Cancelled when every attempt is over: until then sessions are needed.
    sessions_stop: CancellationToken,
}

impl Generator {
    /// Makes the parts; opens no connection.
    ///
    /// # Errors
    /// One sentence about the part that could not be made.
    pub async fn start(
        config: GeneratorConfig,
        engine: EngineConfig,
        keeper: Keeper,
        stop: CancellationToken,
    ) -> Result<Self> {
        let storage = Storage::open(StorageConfig::in_memory(NETWORK)).await?;
        let workspace = storage.ensure_default_workspace().await?.id;
        let (edges, tasks) = (Arc::new(SystemEdges), TaskTracker::new());
        let sessions_stop = CancellationToken::new();
        let engine = EngineConfig {
            wanted_pre_key_count: PRE_KEYS,
            ..engine
        };
        let network = EngineNetwork::new(engine, storage.clone(), Arc::<SystemEdges>::clone(&edges))?;
        let sessions = Sessions::new(SessionDeps {
            config: SessionConfig {
                // Two messages to the account's own chat, once.
                pacing: PacingPolicy::open(),
                // Nothing is kept of an attempt; attempts are counted.
                audited: false,
                reconcile_every: CLEARED_EVERY,
                profile_stands: None,
                ..SessionConfig::default()
            },
            storage: storage.clone(),
            network: Arc::new(network),
            network_kind: NETWORK,
            codes: None,
            clock: Arc::<SystemEdges>::clone(&edges),
            random: edges,
            shutdown: sessions_stop.clone(),
            tasks: tasks.clone(),
        });
        tasks.spawn(retention::keep_up(storage.clone(), EVENTS_KEPT, sessions_stop.clone()));
        let inner = Inner {
            attempts: Attempts::new(config.attempts),
            limits: Limits::new(&config),
            validating: Arc::new(Semaphore::new(VALIDATED_AT_ONCE)),
            config,
            sessions,
            storage,
            workspace,
            format: EngineFormat,
            keeper,
            attempting: TaskTracker::new(),
            tasks,
            stop,
            sessions_stop,
        };
        let generator = Self { inner: Arc::new(inner) };
        generator.inner.tasks.spawn(generator.clone().keep_house());
        Ok(generator)
    }

    /// The pages and what they call.
    pub fn router(&self) -> Router {
        assets::router(self.inner.config.kept_at)
            .merge(routes::router(self.clone()))
            .layer(axum::middleware::from_fn_with_state(self.clone(), guard::check))
            .layer(guard::cors(&self.inner.config))
    }

    /// Answers requests until a signal comes; then ends what runs.
    ///
    /// # Errors
    /// Never for a stop that was asked for.
    pub async fn serve(self, listener: TcpListener, mut signals: StopSignals, deadline: Duration) -> Result<Outcome> {
        let stop = self.inner.stop.clone();
        let app = self.router().into_make_service_with_connect_info::<SocketAddr>();
        let listener = listener.tap_io(server::set_no_delay);
        let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
        let serving = tokio::spawn(serving.into_future());
        let signal = signals.next().await;
        tracing::info!(signal, "stopping: attempts end, nothing is kept");
        stop.cancel();
        let winding_down = async {
            // A listener that failed has told so in its own words.
            let _ = serving.await;
            self.ended().await;
        };
        let end = drain(winding_down, deadline, &mut signals).await;
        Ok(server::outcome(end, true))
    }

    async fn keep_house(self) {
        let mut ticks = tokio::time::interval(HOUSE_KEPT);
        while self
            .inner
            .sessions_stop
            .run_until_cancelled(ticks.tick())
            .await
            .is_some()
        {
            self.inner.limits.forget_idle(Instant::now());
        }
    }

    /// Waits until every attempt is over and nothing is left. The stop token ends those that nobody linked yet; who
    /// linked his account gets his string.
    pub async fn ended(&self) {
        self.inner.attempting.close();
        self.inner.attempting.wait().await;
        self.inner.sessions_stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.storage.clone().close().await;
    }
}
