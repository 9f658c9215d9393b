//! The composition root: one linear function that makes every part and hands each what it needs, and the way back.
//! Nothing here is global but the metrics recorder, which the `metrics` facade wants so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::serve::ListenerExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_api::{ApiParts, ApiState, CookieLogin};
use wharf_model::{Network, SystemEdges};
use wharf_net::Reach;
use wharf_otp::{Deliveries, OtpDeps, Verifications};
use wharf_session::{SessionDeps, Sessions};
use wharf_storage::{MasterKey, Ownership, Storage, StorageConfig};
use wharf_vault::destination::{Database, Places, Reaches};
use wharf_whatsapp::{EngineConfig, EngineFormat, EngineNetwork};

use crate::bootstrap::KeyMaker;
use crate::config::Settings;
use crate::generator::{Generator, Keeper};
use crate::lifecycle::{Drain, StopSignals, drain};
use crate::outcome::{Outcome, Stop};
use crate::readiness::ServerReadiness;
use crate::{metrics, retention};

/// The network that this build speaks to. API keys and sessions belong to it.
pub const NETWORK: Network = if cfg!(feature = "sandbox") {
    Network::Sandbox
} else {
    Network::Live
};

/// Everything that runs.
#[derive(Debug)]
pub struct Wharf {
    storage: Storage,
    api: ApiState,
    keys: KeyMaker,
    /// Cancelled when no new work is to begin.
    stop: CancellationToken,
    /// Sessions and what they started.
    tasks: TaskTracker,
    /// The server's own tasks; each ends when `stop` is cancelled and not before.
    own: JoinSet<()>,
    /// Where the pages are turned on.
    generator: Option<Generator>,
    drain_deadline: Duration,
}

impl Wharf {
    /// Makes every part on an open database, and starts the sessions that should be connected.
    ///
    /// # Errors
    /// One sentence about the part that could not be made.
    pub async fn start(
        settings: &Settings,
        storage: Storage,
        engine: EngineConfig,
        cookie_login: Option<Arc<dyn CookieLogin>>,
    ) -> Result<Self> {
        let edges = Arc::new(SystemEdges);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut own = JoinSet::new();
        let recorder = metrics::install()?;
        own.spawn(metrics::keep_up(recorder.clone(), storage.clone(), stop.clone()));
        let kept = settings.sections.storage.events_kept;
        own.spawn(retention::keep_up(storage.clone(), kept, stop.clone()));
        let keys = KeyMaker::new(&storage, NETWORK).await?;
        let generator_engine = engine.clone();
        let network = Arc::new(EngineNetwork::new(
            engine,
            storage.clone(),
            Arc::<SystemEdges>::clone(&edges),
        )?);
        let deliveries = Deliveries::new(Arc::<SystemEdges>::clone(&edges), Arc::<SystemEdges>::clone(&edges));
        let sessions = Sessions::new(SessionDeps {
            config: settings.sections.session.clone(),
            storage: storage.clone(),
            network: Arc::<EngineNetwork>::clone(&network),
            network_kind: NETWORK,
            codes: Some(Arc::<Deliveries>::clone(&deliveries)),
            clock: Arc::<SystemEdges>::clone(&edges),
            random: Arc::<SystemEdges>::clone(&edges),
            shutdown: stop.clone(),
            tasks: tasks.clone(),
        });
        let verifications = Verifications::new(OtpDeps {
            config: settings.sections.otp.clone(),
            sessions: sessions.clone(),
            storage: storage.clone(),
            deliveries,
            clock: Arc::<SystemEdges>::clone(&edges),
            random: Arc::<SystemEdges>::clone(&edges),
        });
        own.spawn(verifications.clone().sweep(stop.clone()));
        let vault = Database::new(
            storage.clone(),
            Arc::<SystemEdges>::clone(&edges),
            Arc::<SystemEdges>::clone(&edges),
        );
        let places = places(settings, Some(vault.clone()))?;
        let keeper = Keeper {
            places: places.clone(),
            workspace: storage.ensure_default_workspace().await?.id,
        };
        let api = ApiState::new(ApiParts {
            vault,
            places,
            sessions,
            verifications,
            storage: storage.clone(),
            config: settings.sections.api.clone(),
            clock: Arc::<SystemEdges>::clone(&edges),
            random: edges,
            format: Arc::new(EngineFormat),
            login: network,
            network: NETWORK,
            metrics: recorder,
            readiness: Arc::new(ServerReadiness::new(storage.clone(), stop.clone())),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cookie_login,
            shutdown: stop.clone(),
        });
        own.spawn(api.clone().maintain(stop.clone()));
        let section = &settings.sections.generator;
        let generator = match section.enabled {
            true => Some(Generator::start(section.clone(), generator_engine, keeper, stop.clone()).await?),
            false => None,
        };
        Ok(Self {
            storage,
            api,
            keys,
            stop,
            tasks,
            own,
            generator,
            drain_deadline: settings.drain_deadline,
        })
    }

    /// The API's routes.
    pub fn api(&self) -> Router {
        wharf_api::router(self.api.clone())
    }

    /// The session generator's pages, where they are turned on.
    pub fn generator(&self) -> Option<Router> {
        self.generator.as_ref().map(Generator::router)
    }

    /// Makes and finds API keys.
    pub const fn keys(&self) -> &KeyMaker {
        &self.keys
    }

    /// Cancelling it ends [`Self::serve`] as a signal does.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Answers requests until a signal comes, the stop token is cancelled or a part dies; then drains.
    ///
    /// # Errors
    /// Never for a stop that was asked for; what did not end well is in the outcome.
    pub async fn serve(mut self, listener: TcpListener, app: Router, mut signals: StopSignals) -> Result<Outcome> {
        let listener = listener.tap_io(set_no_delay);
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(listener, app).with_graceful_shutdown(self.stop.clone().cancelled_owned());
        self.own.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(error = %error, "the listener failed");
            }
        });
        let healthy = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopping: no new work, then flush and close");
                true
            }
            () = self.stop.cancelled() => true,
            () = taken(&self.storage) => {
                tracing::error!("stopping: another wharf owns the database now");
                false
            }
            _ = self.own.join_next() => {
                tracing::error!("a part of the server ended before it was asked to; stopping");
                false
            }
        };
        self.stop.cancel();
        let deadline = self.drain_deadline;
        let mut died = false;
        let end = drain(self.wind_down(&mut died), deadline, &mut signals).await;
        Ok(outcome(end, healthy && !died))
    }

    /// Waits for everything to end, then closes the database.
    async fn wind_down(mut self, died: &mut bool) {
        while let Some(ended) = self.own.join_next().await {
            *died |= ended.is_err();
        }
        self.tasks.close();
        let generator = async {
            if let Some(generator) = &self.generator {
                generator.ended().await;
            }
        };
        tokio::join!(generator, self.tasks.wait());
        drop(self.api);
        self.storage.close().await;
    }
}

/// Where session strings may be kept. A build that is held to loopback stays there.
///
/// # Errors
/// One sentence about the place that could not be made.
pub fn places(settings: &Settings, database: Option<Database>) -> Result<Places> {
    let config = settings
        .sections
        .vault
        .clone()
        .context("the section vault was not read")?;
    let reaches = match NETWORK {
        Network::Sandbox => Reaches {
            configured: Reach::LoopbackOnly,
            named: Reach::LoopbackOnly,
        },
        Network::Live => Reaches {
            configured: Reach::Anywhere,
            named: Reach::PublicOnly,
        },
    };
    Places::new(config, reaches, database, Arc::new(SystemEdges))
        .context("session strings cannot be kept as configured")
}

/// Resolves when another process has become the owner of the database.
async fn taken(storage: &Storage) {
    let taken = |now: &Ownership| *now == Ownership::Taken;
    if storage.ownership().wait_for(taken).await.is_err() {
        std::future::pending::<()>().await;
    }
}

pub fn outcome(end: Drain, healthy: bool) -> Outcome {
    match (end, healthy) {
        (Drain::Clean, true) => {
            tracing::info!("stopped cleanly");
            Outcome::Done
        }
        (Drain::Clean, false) => Outcome::Failed,
        (Drain::Late, _) => {
            tracing::error!("the stop took longer than server.drain_deadline; what still ran was cut off");
            Outcome::Failed
        }
        (Drain::Interrupted, _) => Outcome::Interrupted,
    }
}

/// Answers are small and somebody waits for each.
pub fn set_no_delay(stream: &mut tokio::net::TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY was refused for a connection");
    }
}

/// A thousand sessions are a thousand sockets; many systems allow a process 1,024 files unless it asks for more.
pub fn raise_open_files() {
    let allowed = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: allowed.maximum,
        ..allowed
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(error = %error, "the number of open files cannot be raised");
    }
}

/// Names what an operator should not overlook at the start.
pub fn warn(settings: &Settings) {
    if cfg!(feature = "sandbox") {
        tracing::warn!("a build for the sandbox: it checks no certificates and dials loopback addresses only");
    }
    if settings.sections.session.pacing.unsafe_open {
        tracing::warn!("pacing.unsafe_open is set: sessions send without limits, and WhatsApp bans accounts that rush");
    }
}

/// Opens the database, which takes the owner lock.
///
/// # Errors
/// One sentence: locked, wrong master key, damaged, of the other network.
pub async fn open_storage(settings: &Settings) -> Result<Storage> {
    Ok(Storage::open(storage_config(settings)?).await?)
}

/// What storage is told.
///
/// # Errors
/// The master key is not one.
pub fn storage_config(settings: &Settings) -> Result<StorageConfig> {
    let section = &settings.sections.storage;
    let master_key = match &section.master_key {
        Some(text) => Some(MasterKey::parse(text.expose_secret()).map_err(|_| bad_master_key())?),
        None => None,
    };
    Ok(StorageConfig {
        url: section.url.as_ref().map(|url| url.expose_secret().to_owned()),
        connections: section.connections,
        durability: section.durability,
        master_key,
        readers: section.readers,
        queue_capacity: section.queue_capacity,
        ..StorageConfig::new(&settings.dir, NETWORK)
    })
}

fn bad_master_key() -> Stop {
    Stop::new(
        Outcome::Failed,
        "storage.master_key is not a key: it needs 64 hexadecimal digits",
    )
}

/// Takes the address to listen on.
///
/// # Errors
/// One sentence when it is taken.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Where a client on this machine reaches the listener.
///
/// # Errors
/// When the system does not tell the port.
pub fn url_of(listener: &TcpListener) -> Result<String> {
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    Ok(format!("http://{address}"))
}
