//! The port's factory: one per process, shared by every session.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;
use wacore::net::HttpClient;
use wacore::store::traits::DeviceStore;
use wharf_model::{Clock, Proxy};
use wharf_net::{FetchError, Fetcher, Limits};
use wharf_session::port::{
    ClientError, ClientEvent, ClientSetup, InboundSink, SessionLease, WhatsAppClient, WhatsAppNetwork,
};
use wharf_storage::Storage;

use crate::backend::WaBackend;
use crate::client::EngineClient;
use crate::config::EngineConfig;
use crate::guard::{self, ProxyGuard};
use crate::media::MediaHttp;
use crate::redelivery::RedeliveryPace;
use crate::transport::Dialer;
use crate::version::VersionSource;

/// How much of the version page is read.
const VERSION_PAGE_LIMIT: usize = 4 * 1024 * 1024;

/// Everything that sessions share.
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dialer: Arc<Dialer>,
    /// Of sessions without a proxy.
    media: Arc<dyn HttpClient>,
    proxies: ProxyGuard,
    pub(crate) version: VersionSource,
    pub(crate) redelivery: RedeliveryPace,
}

impl Shared {
    /// What fetches media for a session. One that has a proxy has a client of its own.
    pub(crate) fn media(&self, proxy: Option<&Proxy>) -> Result<Arc<dyn HttpClient>, FetchError> {
        let Some(proxy) = proxy else {
            return Ok(Arc::clone(&self.media));
        };
        let limits = Limits {
            time: self.config.http_timeout,
            body: self.config.http_body_limit,
        };
        let fetcher = Fetcher::through(proxy, self.proxies.reach(proxy.host()), guard::media(), limits)?;
        Ok(Arc::new(MediaHttp::new(fetcher)))
    }
}

/// Makes clients that speak to WhatsApp, or to the sandbox in a build made for it.
pub struct EngineNetwork {
    shared: Arc<Shared>,
}

impl EngineNetwork {
    /// Opens no connection.
    ///
    /// # Errors
    /// [`ClientError::Engine`] when the HTTP client cannot be set up.
    pub fn new(config: EngineConfig, storage: Storage, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let time = config.http_timeout;
        let fetcher = |reach, body| {
            Fetcher::new(reach, Limits { time, body }).map_err(|error| ClientError::Engine(Box::new(error)))
        };
        let media = MediaHttp::new(fetcher(guard::media(), config.http_body_limit)?);
        let proxies = ProxyGuard::new(config.proxy_hosts.clone());
        // The operator chose this address; only a sandbox build is held to loopback.
        let pages = fetcher(guard::chat(), VERSION_PAGE_LIMIT)?;
        let dialer = Dialer::new(
            config.chat_url.clone(),
            guard::chat(),
            proxies.clone(),
            config.connect_timeout,
        );
        let version = VersionSource::new(config.version, config.version_page.clone(), pages);
        let (dialer, media) = (Arc::new(dialer), Arc::new(media));
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                storage,
                clock,
                dialer,
                media,
                proxies,
                version,
                redelivery: RedeliveryPace::default(),
            }),
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    async fn backend(&self, lease: SessionLease) -> Result<WaBackend, ClientError> {
        let keys = self
            .shared
            .storage
            .session_keys(lease.session)
            .await
            .map_err(|error| ClientError::Storage(Box::new(error)))?;
        Ok(WaBackend::new(
            self.shared.storage.clone(),
            Arc::clone(&self.shared.clock),
            keys,
            lease,
            self.shared.config.sent_message_ttl,
        ))
    }
}

impl fmt::Debug for EngineNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineNetwork")
            .field("chat_url", &self.shared.config.chat_url)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl WhatsAppNetwork for EngineNetwork {
    async fn client(
        &self,
        lease: SessionLease,
        setup: ClientSetup,
        events: mpsc::UnboundedSender<ClientEvent>,
        inbound: Arc<dyn InboundSink>,
    ) -> Result<Arc<dyn WhatsAppClient>, ClientError> {
        // Read once now, so that unreadable state is an answer to this call and not the end of a run.
        self.is_linked(lease).await?;
        Ok(Arc::new(EngineClient::new(
            Arc::clone(&self.shared),
            lease,
            setup,
            events,
            inbound,
        )))
    }

    async fn is_linked(&self, lease: SessionLease) -> Result<bool, ClientError> {
        let backend = self.backend(lease).await?;
        let device = backend
            .load()
            .await
            .map_err(|error| ClientError::Storage(Box::new(error)))?;
        Ok(device.is_some_and(|device| device.is_registered()))
    }
}
