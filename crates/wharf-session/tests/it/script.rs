//! A scripted network: the port's other side, driven by the test line by line. WhatsApp is an impure edge; the real
//! engine against the sandbox is tested elsewhere.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc, watch};
use wharf_model::{CloseReason, Phone, SessionId};
use wharf_session::port::{
    AccountProfile, ClientError, ClientEvent, ClientSetup, InboundSink, OutboundMessage, PairingError,
    PasskeyAssertion, PasskeyError, SendError, SessionLease, WhatsAppClient, WhatsAppNetwork,
};

/// WhatsApp gives no pairing code for it: the account is written otherwise.
pub const REFUSED: &str = "551187654321";

/// What a passkey of another account signed.
pub const WRONG: &str = "wrong";

/// How a client answers `send`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// The frame is written; the test acknowledges.
    Quiet,
    /// The frame is written and the server acknowledges at once.
    Acked,
    /// Not connected.
    NotConnected,
    /// The number has no account.
    NotOnWhatsApp,
    /// The engine panics.
    Panics,
}

#[derive(Debug)]
pub struct ScriptedNetwork {
    linked: Mutex<HashMap<SessionId, bool>>,
    clients: mpsc::UnboundedSender<Arc<ScriptedClient>>,
    made: tokio::sync::Mutex<mpsc::UnboundedReceiver<Arc<ScriptedClient>>>,
    /// How the next clients send.
    pub sending: Mutex<Sending>,
    /// Whether the next question whether a session is linked panics, once.
    pub panic_once: AtomicBool,
}

impl ScriptedNetwork {
    pub fn new() -> Arc<Self> {
        let (clients, made) = mpsc::unbounded_channel();
        Arc::new(Self {
            linked: Mutex::default(),
            clients,
            made: tokio::sync::Mutex::new(made),
            sending: Mutex::new(Sending::Quiet),
            panic_once: AtomicBool::new(false),
        })
    }

    pub fn link(&self, session: SessionId) {
        self.linked.lock().unwrap().insert(session, true);
    }

    pub fn unlink(&self, session: SessionId) {
        self.linked.lock().unwrap().remove(&session);
    }

    /// The next client that an actor builds.
    pub async fn next_client(&self) -> Arc<ScriptedClient> {
        self.made.lock().await.recv().await.unwrap()
    }

    /// Whether a client was built that nobody has asked for.
    pub async fn has_client(&self) -> bool {
        !self.made.lock().await.is_empty()
    }
}

#[async_trait]
impl WhatsAppNetwork for ScriptedNetwork {
    async fn client(
        &self,
        lease: SessionLease,
        setup: ClientSetup,
        events: mpsc::UnboundedSender<ClientEvent>,
        inbound: Arc<dyn InboundSink>,
    ) -> Result<Arc<dyn WhatsAppClient>, ClientError> {
        let (sent, sends) = mpsc::unbounded_channel();
        let client = Arc::new(ScriptedClient {
            lease,
            setup,
            events,
            inbound,
            runs: watch::Sender::new(0),
            end: Notify::new(),
            shut: watch::Sender::new(false),
            logged_out: AtomicBool::new(false),
            confirmed: AtomicBool::new(false),
            sent,
            sends: tokio::sync::Mutex::new(sends),
            sending: Mutex::new(*self.sending.lock().unwrap()),
            frame_age: AtomicU64::new(0),
            asked_profile: AtomicUsize::new(0),
        });
        self.clients.send(Arc::clone(&client)).unwrap();
        Ok(client)
    }

    async fn is_linked(&self, lease: SessionLease) -> Result<bool, ClientError> {
        assert!(!self.panic_once.swap(false, Ordering::SeqCst), "the script says: panic");
        Ok(self.linked.lock().unwrap().contains_key(&lease.session))
    }
}

#[derive(Debug)]
pub struct ScriptedClient {
    pub lease: SessionLease,
    pub setup: ClientSetup,
    events: mpsc::UnboundedSender<ClientEvent>,
    pub inbound: Arc<dyn InboundSink>,
    runs: watch::Sender<usize>,
    end: Notify,
    shut: watch::Sender<bool>,
    pub logged_out: AtomicBool,
    /// The passkey's code was confirmed.
    pub confirmed: AtomicBool,
    sent: mpsc::UnboundedSender<OutboundMessage>,
    sends: tokio::sync::Mutex<mpsc::UnboundedReceiver<OutboundMessage>>,
    pub sending: Mutex<Sending>,
    frame_age: AtomicU64,
    /// How often the profile was asked for.
    pub asked_profile: AtomicUsize,
}

impl ScriptedClient {
    pub fn emit(&self, event: ClientEvent) {
        self.events.send(event).unwrap();
    }

    /// Waits until `run` was called `count` times.
    pub async fn running(&self, count: usize) {
        self.runs.subscribe().wait_for(|runs| *runs >= count).await.unwrap();
    }

    /// Logs in and opens, as a linked device does.
    pub async fn open(&self, run: usize) {
        self.running(run).await;
        self.emit(ClientEvent::LoggedIn);
        self.emit(ClientEvent::Opened(None));
    }

    pub fn show_qr(&self, text: &str) {
        self.emit(ClientEvent::Qr {
            text: text.to_owned(),
            valid_for: Duration::from_secs(60),
        });
    }

    pub fn account() -> AccountProfile {
        AccountProfile {
            phone: "15550001111@s.whatsapp.net".parse().unwrap(),
            lid: Some("100000000000001@lid".parse().unwrap()),
            push_name: Some("Ada".to_owned()),
            platform: Some("android".to_owned()),
            fingerprint: Some("3f1c09a2b7d84e5590cc12fe7a6b3d81".to_owned()),
        }
    }

    /// The connection ends.
    pub fn close(&self, reason: CloseReason) {
        self.emit(ClientEvent::Closed { reason, detail: None });
        self.end.notify_one();
    }

    /// The run ends, and nobody says why.
    pub fn stop_dead(&self) {
        self.end.notify_one();
    }

    pub fn ack(&self, whatsapp_id: &str) {
        self.refuse(whatsapp_id, None);
    }

    pub fn refuse(&self, whatsapp_id: &str, error: Option<u16>) {
        self.emit(ClientEvent::Ack {
            whatsapp_id: whatsapp_id.to_owned(),
            at: None,
            error,
        });
    }

    /// The next message that was written.
    pub async fn next_send(&self) -> OutboundMessage {
        self.sends.lock().await.recv().await.unwrap()
    }

    /// Whether a message was written that nobody has asked for.
    pub async fn has_send(&self) -> bool {
        !self.sends.lock().await.is_empty()
    }

    pub fn silent_for(&self, age: Duration) {
        self.frame_age
            .store(u64::try_from(age.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub fn runs(&self) -> usize {
        *self.runs.borrow()
    }

    pub async fn shut_down(&self) {
        self.shut.subscribe().wait_for(|shut| *shut).await.unwrap();
    }
}

#[async_trait]
impl WhatsAppClient for ScriptedClient {
    async fn run(&self) {
        self.runs.send_modify(|runs| *runs += 1);
        let mut shut = self.shut.subscribe();
        tokio::select! {
            () = self.end.notified() => {}
            _ = shut.wait_for(|shut| *shut) => {}
        }
    }

    async fn send(&self, message: OutboundMessage) -> Result<(), SendError> {
        let sending = *self.sending.lock().unwrap();
        let id = message.whatsapp_id.clone();
        match sending {
            Sending::NotConnected => return Err(SendError::NotConnected),
            Sending::NotOnWhatsApp => return Err(SendError::NotOnWhatsApp),
            Sending::Panics => panic!("the script says: panic"),
            Sending::Quiet | Sending::Acked => {}
        }
        self.sent.send(message).unwrap();
        if sending == Sending::Acked {
            self.ack(&id);
        }
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

    async fn answer_passkey(&self, assertion: PasskeyAssertion) -> Result<(), PasskeyError> {
        if assertion.json == WRONG {
            return Err(PasskeyError::Refused("not of this account".into()));
        }
        self.emit(ClientEvent::PasskeyShown {
            code: "PASS-CODE".to_owned(),
            is_known: false,
        });
        Ok(())
    }

    async fn confirm_passkey(&self) -> Result<(), PasskeyError> {
        self.confirmed.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn ask_profile(&self) {
        self.asked_profile.fetch_add(1, Ordering::SeqCst);
    }

    async fn logout(&self) {
        self.logged_out.store(true, Ordering::SeqCst);
    }

    async fn shutdown(&self) {
        self.shut.send_replace(true);
    }

    fn last_frame_age(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.frame_age.load(Ordering::SeqCst)))
    }
}
