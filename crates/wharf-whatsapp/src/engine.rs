//! One engine on one session's stored state: how it is put together.

use std::sync::Arc;
use std::time::Duration;

use wacore::store::DevicePropsOverride;
use wacore::store::commands::DeviceCommand;
use wacore::store::error::StoreError;
use wacore::types::events::{EventHandler, Subscription};
use waproto::whatsapp::device_props::PlatformType;
use wharf_model::{Browser, CloseReason, Proxy};
use wharf_session::port::{ClientSetup, InboundSink, SessionLease};
use wharf_storage::StorageError;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::{CacheConfig, CacheEntryConfig, Client, ClientBuilderError, RawNodeLease};

use crate::backend::WaBackend;
use crate::events::EventTap;
use crate::inbound::InboundHook;
use crate::network::Shared;
use crate::tasks::EngineTasks;
use crate::transport::WatchedTransportFactory;
use crate::watch::{RunWatch, Verdict};
use wharf_net::FetchError;

/// How often the engine's device record is saved at the latest; a change wakes the saver at once.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("the session's keys cannot be read")]
    Keys(#[source] StorageError),
    #[error("stored protocol state cannot be read")]
    State(#[source] StoreError),
    #[error("the engine refused its configuration")]
    Build(#[source] ClientBuilderError),
    #[error("the client for media could not be set up")]
    Media(#[source] FetchError),
}

impl EngineError {
    pub(crate) fn verdict(&self) -> Verdict {
        let reason = match self {
            Self::Keys(_) | Self::State(_) => CloseReason::StorageFailed,
            // The builder probes the store of pending messages; that is its one way to fail here.
            Self::Build(_) | Self::Media(_) => CloseReason::EngineStopped,
        };
        Verdict::with(reason, self.to_string())
    }
}

/// The engine, what it stands on, and the ear at its events.
pub(crate) struct Engine {
    pub(crate) client: Arc<Client>,
    pub(crate) backend: Arc<WaBackend>,
    pub(crate) manager: Arc<PersistenceManager>,
    /// What its connections go through.
    pub(crate) proxy: Option<Proxy>,
    tasks: EngineTasks,
    _events: Subscription,
    /// Keeps the engine telling of stanzas as they come.
    _stanzas: RawNodeLease,
}

impl Engine {
    pub(crate) async fn build(
        shared: &Shared,
        lease: SessionLease,
        setup: &ClientSetup,
        watch: &Arc<RunWatch>,
        inbound: Arc<dyn InboundSink>,
    ) -> Result<Self, EngineError> {
        let keys = shared
            .storage
            .session_keys(lease.session)
            .await
            .map_err(EngineError::Keys)?;
        let backend = WaBackend::new(
            shared.storage.clone(),
            Arc::clone(&shared.clock),
            keys,
            lease,
            shared.config.sent_message_ttl,
        );
        let backend = Arc::new(backend.counting(Arc::clone(&watch.intake)));
        let store: Arc<dyn wacore::store::traits::Backend> = Arc::clone(&backend) as _;
        let manager = Arc::new(PersistenceManager::new(store).await.map_err(EngineError::State)?);
        manager
            .process_command(DeviceCommand::SetDeviceProps(device_props(shared, setup)))
            .await;
        let tasks = EngineTasks::default();
        let client = build_client(shared, setup, watch, &manager, (inbound, tasks.clone())).await?;
        watch.attach(&client);
        let tap: Arc<dyn EventHandler> = Arc::new(EventTap::new(Arc::clone(watch), Arc::clone(&manager)));
        let events = client.subscribe_handler(tap);
        let stanzas = client.acquire_raw_node_forwarding();
        Ok(Self {
            client,
            backend,
            manager,
            proxy: setup.proxy.clone(),
            tasks,
            _events: events,
            _stanzas: stanzas,
        })
    }

    /// Whether this engine refuses to run again.
    pub(crate) fn is_spent(&self) -> bool {
        self.client.shutdown_signal().is_fired() || self.backend.is_poisoned()
    }

    /// Flushes what can be flushed and closes the socket, for good.
    pub(crate) async fn shut_down(&self) {
        self.client.disconnect().await;
    }
}

/// The engine's tasks hold it: without a word they would outlive a client that was dropped in the middle of a run.
impl Drop for Engine {
    fn drop(&mut self) {
        self.client.signal_shutdown_sync();
        self.tasks.end();
    }
}

async fn build_client(
    shared: &Shared,
    setup: &ClientSetup,
    watch: &Arc<RunWatch>,
    manager: &Arc<PersistenceManager>,
    (inbound, tasks): (Arc<dyn InboundSink>, EngineTasks),
) -> Result<Arc<Client>, EngineError> {
    let transport = WatchedTransportFactory::new(Arc::clone(&shared.dialer), setup.proxy.clone(), Arc::clone(watch));
    let media = shared.media(setup.proxy.as_ref()).map_err(EngineError::Media)?;
    let build = Client::builder()
        .with_runtime(tasks)
        .with_persistence_manager(Arc::clone(manager))
        .with_transport_factory(transport)
        .with_http_client_arc(media)
        .with_cache_config(caches(shared))
        .with_skip_history_sync(true)
        .with_wanted_pre_key_count(shared.config.wanted_pre_key_count)
        .with_inbound_durability_hook(InboundHook {
            sink: inbound,
            watch: Arc::clone(watch),
        })
        .with_background_saver_interval(SAVE_INTERVAL)
        .build()
        .await
        .map_err(EngineError::Build)?;
    Ok(build.into_client())
}

fn device_props(shared: &Shared, setup: &ClientSetup) -> DevicePropsOverride {
    let device = setup.device.as_ref().unwrap_or(&shared.config.device);
    DevicePropsOverride::new()
        .with_os(device.os().to_owned())
        .with_platform_type(platform(device.browser()))
        .with_require_full_sync(false)
}

const fn platform(browser: Browser) -> PlatformType {
    match browser {
        Browser::Chrome => PlatformType::CHROME,
        Browser::Firefox => PlatformType::FIREFOX,
        Browser::Safari => PlatformType::SAFARI,
        Browser::Edge => PlatformType::EDGE,
    }
}

/// The engine's caches, smaller than its own choice: a gateway holds many sessions, and storage is near.
fn caches(shared: &Shared) -> CacheConfig {
    let hour = Some(Duration::from_secs(3600));
    CacheConfig {
        group_cache: CacheEntryConfig::new(hour, 64),
        device_registry_cache: CacheEntryConfig::new(hour, 2_000),
        // Not the message itself: a retry receipt is answered from the message's row.
        recent_messages: CacheEntryConfig::new(hour, 0),
        message_retry_counts: CacheEntryConfig::new(hour, 200),
        undecryptable_dispatched: CacheEntryConfig::new(Some(Duration::from_secs(300)), 200),
        sender_key_devices_cache: CacheEntryConfig::new(hour, 64),
        session_recreate_history: CacheEntryConfig::new(hour, 128),
        sent_message_ttl_secs: shared.config.sent_message_ttl.as_secs(),
        seed_msg_secrets_from_history: false,
        ..CacheConfig::default()
    }
}
