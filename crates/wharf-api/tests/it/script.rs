//! A scripted network: WhatsApp is an impure edge, driven by the test.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use wharf_model::{Clock as _, Content, Phone, SessionId, SystemEdges};
use wharf_session::port::{
    AccountProfile, ClientError, ClientEvent, ClientSetup, InboundMessage, InboundSink, OutboundMessage, PairingError,
    PasskeyAssertion, PasskeyError, SendError, SessionLease, WhatsAppClient, WhatsAppNetwork,
};
use wharf_vault::{Credentials, LiveLogin, LoginError, Verdict};

/// WhatsApp gives no pairing code for it.
pub const REFUSED: &str = "15559999999";

/// WhatsApp does not answer.
#[derive(Debug)]
pub struct Unreachable;

#[async_trait]
impl LiveLogin for Unreachable {
    async fn try_login(&self, _: &Credentials) -> Result<Verdict, LoginError> {
        Err(LoginError("the script says so".into()))
    }
}

#[derive(Debug)]
pub struct ScriptedNetwork {
    linked: Mutex<HashSet<SessionId>>,
    clients: mpsc::UnboundedSender<Arc<ScriptedClient>>,
    made: tokio::sync::Mutex<mpsc::UnboundedReceiver<Arc<ScriptedClient>>>,
}

impl ScriptedNetwork {
    pub fn new() -> Arc<Self> {
        let (clients, made) = mpsc::unbounded_channel();
        Arc::new(Self {
            linked: Mutex::default(),
            clients,
            made: tokio::sync::Mutex::new(made),
        })
    }

    pub fn link(&self, session: SessionId) {
        self.linked.lock().unwrap().insert(session);
    }

    /// The next client that an actor builds.
    pub async fn next_client(&self) -> Arc<ScriptedClient> {
        self.made.lock().await.recv().await.unwrap()
    }
}

#[async_trait]
impl WhatsAppNetwork for ScriptedNetwork {
    async fn client(
        &self,
        _: SessionLease,
        _: ClientSetup,
        events: mpsc::UnboundedSender<ClientEvent>,
        inbound: Arc<dyn InboundSink>,
    ) -> Result<Arc<dyn WhatsAppClient>, ClientError> {
        let client = Arc::new(ScriptedClient {
            events,
            inbound,
            sent: watch::Sender::new(Vec::new()),
            running: watch::Sender::new(false),
            shut: watch::Sender::new(false),
        });
        self.clients.send(Arc::clone(&client)).unwrap();
        Ok(client)
    }

    async fn is_linked(&self, lease: SessionLease) -> Result<bool, ClientError> {
        Ok(self.linked.lock().unwrap().contains(&lease.session))
    }
}

#[derive(Debug)]
pub struct ScriptedClient {
    events: mpsc::UnboundedSender<ClientEvent>,
    inbound: Arc<dyn InboundSink>,
    /// What was sent, first to last.
    sent: watch::Sender<Vec<OutboundMessage>>,
    running: watch::Sender<bool>,
    shut: watch::Sender<bool>,
}

impl ScriptedClient {
    pub fn emit(&self, event: ClientEvent) {
        self.events.send(event).unwrap();
    }

    pub async fn running(&self) {
        self.running.subscribe().wait_for(|running| *running).await.unwrap();
    }

    /// The message that was sent under this id, once it was.
    pub async fn sent_as(&self, whatsapp_id: &str) -> OutboundMessage {
        let mut sent = self.sent.subscribe();
        let is_it = |message: &OutboundMessage| message.whatsapp_id == whatsapp_id;
        let all = sent.wait_for(|sent| sent.iter().any(is_it)).await.unwrap().clone();
        all.into_iter().find(is_it).unwrap()
    }

    /// Takes a message in: when this returns, it is stored.
    pub async fn take_in(&self, message: InboundMessage) {
        self.inbound.commit(vec![message]).await.unwrap();
    }

    pub fn show_qr(&self, text: &str) {
        self.emit(ClientEvent::Qr {
            text: text.to_owned(),
            valid_for: Duration::from_secs(60),
        });
    }

    pub fn link(&self) {
        self.link_as("15550001111");
    }

    /// The same with the account of a number.
    pub fn link_as(&self, number: &str) {
        self.emit(ClientEvent::Linked(AccountProfile {
            phone: format!("{number}@s.whatsapp.net").parse().unwrap(),
            lid: Some("100000000000001@lid".parse().unwrap()),
            push_name: Some("Ada".to_owned()),
            platform: Some("android".to_owned()),
            fingerprint: Some("3f1c09a2b7d84e5590cc12fe7a6b3d81".to_owned()),
        }));
        self.emit(ClientEvent::LoggedIn);
        self.emit(ClientEvent::Opened(None));
    }
}

/// A text that a person writes to us, from the number of his jid or from a hidden id.
pub fn text_from(sender: &str, whatsapp_id: &str, body: &str) -> InboundMessage {
    InboundMessage {
        whatsapp_id: whatsapp_id.to_owned(),
        chat: sender.parse().unwrap(),
        sender: sender.parse().unwrap(),
        sender_phone: None,
        from_me: false,
        push_name: None,
        at: SystemEdges.now(),
        content: Content::text(body),
        raw: Vec::new(),
    }
}

#[async_trait]
impl WhatsAppClient for ScriptedClient {
    async fn run(&self) {
        self.running.send_replace(true);
        let mut shut = self.shut.subscribe();
        let _ = shut.wait_for(|shut| *shut).await;
    }

    /// The server takes every message at once.
    async fn send(&self, message: OutboundMessage) -> Result<(), SendError> {
        self.emit(ClientEvent::Ack {
            whatsapp_id: message.whatsapp_id.clone(),
            at: None,
            error: None,
        });
        self.sent.send_modify(|sent| sent.push(message));
        Ok(())
    }

    async fn request_pairing_code(&self, phone: &Phone) -> Result<(), PairingError> {
        if phone.digits() == REFUSED {
            return Err(PairingError::Refused);
        }
        self.emit(ClientEvent::PairingCode {
            code: "ABCDEFGH".to_owned(),
            valid_for: Duration::from_secs(180),
        });
        Ok(())
    }

    async fn answer_passkey(&self, _: PasskeyAssertion) -> Result<(), PasskeyError> {
        Err(PasskeyError::NotAsked)
    }

    async fn confirm_passkey(&self) -> Result<(), PasskeyError> {
        Err(PasskeyError::NotAsked)
    }

    fn ask_profile(&self) {}

    async fn logout(&self) {}

    async fn shutdown(&self) {
        self.shut.send_replace(true);
    }

    fn last_frame_age(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}
