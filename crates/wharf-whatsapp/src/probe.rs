//! A login that takes nothing: handshake, certificate check, and WhatsApp's first word. Not the engine's client, which would
//! go active and be given what waits for somebody else.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use tokio::sync::mpsc;
use wacore::client_profile::ClientProfile;
use wacore::framing::FrameDecoder;
use wacore::net::TransportEvent;
use wacore::store::InMemoryBackend;
use wacore::store::commands::DeviceCommand;
use wacore::store::traits::DeviceStore as _;
use wacore_binary::OwnedNodeRef;
use wharf_vault::{Credentials, LiveLogin, LoginError, Verdict};
use whatsapp_rust::TokioRuntime;
use whatsapp_rust::handshake::do_handshake;
use whatsapp_rust::socket::NoiseSocket;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::transport::TransportFactory as _;

use crate::backend::linked_device;
use crate::network::{EngineNetwork, Shared};
use crate::transport::WatchedTransportFactory;
use crate::watch::RunWatch;

/// How long the answer may take, once the handshake is done.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

type Error = Box<dyn std::error::Error + Send + Sync>;

#[async_trait]
impl LiveLogin for EngineNetwork {
    async fn try_login(&self, credentials: &Credentials) -> Result<Verdict, LoginError> {
        probe(self.shared(), credentials).await.map_err(LoginError)
    }
}

async fn probe(shared: &Shared, credentials: &Credentials) -> Result<Verdict, Error> {
    let manager = device(shared, credentials).await?;
    let (nobody, _) = mpsc::unbounded_channel();
    let watch = RunWatch::new(Arc::clone(&shared.clock), nobody);
    watch.begin();
    let factory = WatchedTransportFactory::new(Arc::clone(&shared.dialer), None, watch);
    let (transport, mut events) = factory.create_transport().await?;
    let failures = AtomicU32::new(0);
    let runtime = Arc::new(TokioRuntime);
    let socket = do_handshake(runtime, &manager, &failures, Arc::clone(&transport), &mut events, None).await;
    let verdict = match socket {
        Ok(socket) => tokio::time::timeout(ANSWER_WITHIN, first_word(&socket, &events)).await,
        Err(error) => Ok(Err(error.into())),
    };
    transport.disconnect().await;
    verdict.map_err(|_| "WhatsApp did not answer the login in time")?
}

/// The device, in memory. Passive: what waits for it goes on waiting.
async fn device(shared: &Shared, credentials: &Credentials) -> Result<PersistenceManager, Error> {
    let backend = InMemoryBackend::new();
    backend.save(&linked_device(credentials)?).await?;
    let manager = PersistenceManager::new(Arc::new(backend)).await?;
    let version = shared.version.current(&*shared.clock).await;
    manager
        .process_command(DeviceCommand::SetAppVersion(version.parts()))
        .await;
    let profile = ClientProfile {
        passive_login: true,
        ..ClientProfile::default()
    };
    manager.process_command(DeviceCommand::SetClientProfile(profile)).await;
    Ok(manager)
}

/// Reads until WhatsApp has said whether it accepts the login.
async fn first_word(socket: &NoiseSocket, events: &async_channel::Receiver<TransportEvent>) -> Result<Verdict, Error> {
    let mut frames = FrameDecoder::new();
    loop {
        match events.recv().await {
            Ok(TransportEvent::DataReceived(data)) => frames.feed(&data),
            Ok(TransportEvent::Connected) => {}
            Ok(TransportEvent::Disconnected(_)) | Err(_) => {
                return Err("the connection ended before WhatsApp answered".into());
            }
        }
        while let Some(frame) = frames.decode_frame() {
            if let Some(verdict) = read(socket, frame)? {
                return Ok(verdict);
            }
        }
    }
}

fn read(socket: &NoiseSocket, frame: BytesMut) -> Result<Option<Verdict>, Error> {
    let plain = socket.decrypt_frame(frame)?;
    let node = OwnedNodeRef::new(wacore_binary::util::unpack_bytes(plain)?)?;
    let node = node.get();
    let attribute = |name: &str| node.attrs().optional_string(name).map(|text| text.into_owned());
    Ok(match &*node.tag {
        "success" => Some(Verdict::Accepted),
        "failure" => Some(refused(attribute("reason"))),
        "stream:error" => Some(refused(attribute("code"))),
        _ => None,
    })
}

/// Codes as in the protocol brief, section 2.
fn refused(code: Option<String>) -> Verdict {
    let code = code.and_then(|code| code.parse().ok());
    match code {
        Some(401 | 406 | 516) => Verdict::Unlinked,
        Some(402 | 403) => Verdict::Banned,
        Some(405) => Verdict::Outdated,
        other => Verdict::Refused(other),
    }
}
