//! What the routes work on: the parts that the composition root gives, and what the API keeps beside them.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wharf_model::{Clock, Network, Random, Timestamp};
use wharf_otp::Verifications;
use wharf_session::Sessions;
use wharf_storage::{Queue, Storage, StorageError, Tx, idempotency, vault};
use wharf_vault::destination::{Database, Places};
use wharf_vault::{LiveLogin, StateFormat};

use crate::auth::{Authenticator, CookieLogin};
use crate::config::ApiConfig;
use crate::limit::Limits;
use crate::readiness::{CachedReadiness, Readiness};

/// How often use of keys is written and idle limits are forgotten.
const MAINTENANCE: Duration = Duration::from_secs(10);
/// How many expired rows one unit of work deletes.
const PRUNED_AT_ONCE: u32 = 500;
/// How many bodies that bring credentials are in memory together; each has up to 8 MiB.
const BROUGHT_AT_ONCE: usize = 8;
/// How many credentials are looked at together.
const EXAMINED_AT_ONCE: usize = 2;

type Pruned<'tx> = Pin<Box<dyn Future<Output = Result<u64, StorageError>> + Send + 'tx>>;
type Prune = fn(&mut Tx, Timestamp) -> Pruned<'_>;

fn idempotency_prune(tx: &mut Tx, now: Timestamp) -> Pruned<'_> {
    Box::pin(idempotency::prune(tx, now, PRUNED_AT_ONCE))
}

fn vault_prune(tx: &mut Tx, now: Timestamp) -> Pruned<'_> {
    Box::pin(vault::prune(tx, now, PRUNED_AT_ONCE))
}

/// What the composition root gives.
pub struct ApiParts {
    /// Sessions and messages.
    pub sessions: Sessions,
    /// One-time passwords.
    pub verifications: Verifications,
    /// Keys, events and idempotency.
    pub storage: Storage,
    /// The API's section of the configuration.
    pub config: ApiConfig,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Keys and request ids.
    pub random: Arc<dyn Random>,
    /// Session strings that are kept in the database.
    pub vault: Database,
    /// Where session strings may be kept, and read from.
    pub places: Places,
    /// How the protocol engine keeps credentials.
    pub format: Arc<dyn StateFormat>,
    /// Whether WhatsApp accepts credentials.
    pub login: Arc<dyn LiveLogin>,
    /// Which keys this build makes and accepts.
    pub network: Network,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// Whether the server can serve.
    pub readiness: Arc<dyn Readiness>,
    /// The version that the OpenAPI document and the docs name.
    pub version: String,
    /// Signs a page in by a cookie, where the server has such a page.
    pub cookie_login: Option<Arc<dyn CookieLogin>>,
    /// Ends streams when the server stops.
    pub shutdown: CancellationToken,
}

/// The state of every route. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    inner: Arc<Inner>,
}

/// The parts and what is made from them.
pub struct Inner {
    pub(crate) parts: ApiParts,
    pub(crate) authenticator: Authenticator,
    pub(crate) limits: Limits,
    pub(crate) ready: CachedReadiness,
    /// Places for bodies that bring credentials.
    pub(crate) bringing: Arc<Semaphore>,
    /// Turns at credentials.
    pub(crate) examining: Arc<Semaphore>,
}

impl fmt::Debug for ApiParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiParts")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.parts, f)
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner.parts, f)
    }
}

impl Deref for ApiState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Deref for Inner {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.parts
    }
}

impl ApiState {
    /// The state made from the given parts.
    pub fn new(parts: ApiParts) -> Self {
        let authenticator = Authenticator::new(parts.storage.clone(), Arc::clone(&parts.clock), parts.network);
        let limits = Limits::new(&parts.config);
        let ready = CachedReadiness::new(Arc::clone(&parts.readiness));
        let inner = Inner {
            bringing: Arc::new(Semaphore::new(BROUGHT_AT_ONCE)),
            examining: Arc::new(Semaphore::new(EXAMINED_AT_ONCE)),
            parts,
            authenticator,
            limits,
            ready,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Writes use of keys in batches, deletes what expired and forgets idle limits, until `stop`; then writes once more. The composition root runs this as a task beside the server.
    pub async fn maintain(self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(MAINTENANCE);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = interval.tick() => {}
            }
            self.limits.forget_idle();
            self.flush_usage().await;
            self.prune("idempotency keys", idempotency_prune).await;
            self.prune("session strings", vault_prune).await;
        }
        self.flush_usage().await;
    }

    /// Unit by unit until none is left: a busy day's keys expire as fast as they came.
    async fn prune(&self, what: &'static str, prune: Prune) {
        let now = self.clock.now();
        loop {
            let pruned = self.storage.write(Queue::Normal, move |tx| prune(tx, now));
            match pruned.await {
                Ok(count) if count < u64::from(PRUNED_AT_ONCE) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error.cause = %error, "expired {what} could not be deleted; it is tried again");
                    return;
                }
            }
        }
    }

    /// Writes what keys were used for since the last time. A failed write is kept for the next.
    pub async fn flush_usage(&self) {
        if let Err(error) = self.authenticator.flush_usage().await {
            tracing::warn!(error.cause = %error, "use of API keys could not be written; it is tried again");
        }
    }
}
