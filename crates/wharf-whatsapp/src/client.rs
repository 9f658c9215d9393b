//! The port's client: one engine at a time, run after run.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use wharf_model::{JidServer, Phone};
use wharf_session::port::{
    ClientEvent, ClientSetup, InboundSink, OutboundMessage, PairingError, PasskeyAssertion, PasskeyError, SendError,
    SessionLease, WhatsAppClient,
};
use whatsapp_rust::SendOptions;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::passkey::Assertion;

use crate::close_reasons::conclude;
use crate::conversions::{engine_jid, message};
use crate::engine::{Engine, EngineError};
use crate::network::Shared;
use crate::pairing_errors::pairing_error;
use crate::run::drive;
use crate::send_errors::{contact_error, send_error};
use crate::shown_profile;
use crate::watch::{RunWatch, Verdict};

/// See [`WhatsAppClient`].
pub(crate) struct EngineClient {
    shared: Arc<Shared>,
    lease: SessionLease,
    setup: ClientSetup,
    inbound: Arc<dyn InboundSink>,
    watch: Arc<RunWatch>,
    /// The engine of the present run, kept between runs: after linking it remembers to ask for everything once.
    engine: Mutex<Option<Arc<Engine>>>,
    /// Held by a run; a second one waits for the first.
    turn: tokio::sync::Mutex<()>,
}

impl EngineClient {
    pub(crate) fn new(
        shared: Arc<Shared>,
        lease: SessionLease,
        setup: ClientSetup,
        events: mpsc::UnboundedSender<ClientEvent>,
        inbound: Arc<dyn InboundSink>,
    ) -> Self {
        let watch = RunWatch::new(Arc::clone(&shared.clock), events);
        Self {
            shared,
            lease,
            setup,
            inbound,
            watch,
            engine: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn present(&self) -> Option<Arc<Engine>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, engine: Option<Arc<Engine>>) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    /// The engine of the last run, or a new one on what is stored.
    async fn engine(&self) -> Result<Arc<Engine>, EngineError> {
        if let Some(engine) = self.present().filter(|engine| !engine.is_spent()) {
            return Ok(engine);
        }
        let engine = Arc::new(
            Engine::build(
                &self.shared,
                self.lease,
                &self.setup,
                &self.watch,
                Arc::clone(&self.inbound),
            )
            .await?,
        );
        self.replace(Some(Arc::clone(&engine)));
        Ok(engine)
    }

    /// One run up to the reason of its end.
    async fn run_once(&self) -> Verdict {
        match self.engine().await {
            Ok(engine) => {
                // A shutdown that came while there was no engine yet found nothing to shut down.
                if self.watch.has_ended() {
                    engine.shut_down().await;
                }
                drive(&engine, &self.shared, &self.watch).await;
                // An engine that shut itself down refuses to run again; a poisoned one writes nothing any more.
                if engine.is_spent() {
                    engine.shut_down().await;
                    self.replace(None);
                }
                conclude(self.watch.seen())
            }
            Err(error) => {
                tracing::error!(
                    session.id = %self.lease.session,
                    error = &error as &dyn std::error::Error,
                    "The protocol engine could not be built"
                );
                error.verdict()
            }
        }
    }

    async fn send_on(&self, engine: &Engine, outbound: &OutboundMessage) -> Result<(), SendError> {
        let message = message(outbound)?;
        self.check_exists(engine, outbound).await?;
        let _noted = engine.backend.note_outbound(&outbound.whatsapp_id);
        let options = SendOptions::default().with_message_id(outbound.whatsapp_id.clone());
        let sent = engine
            .client
            .send_message_with_options(engine_jid(&outbound.to), message, options);
        sent.await.map(drop).map_err(send_error)
    }

    /// Asks once for a number that nothing is known of; the engine itself would send to whatever it is told.
    async fn check_exists(&self, engine: &Engine, outbound: &OutboundMessage) -> Result<(), SendError> {
        if outbound.to.server() != JidServer::Phone {
            return Ok(());
        }
        let jid = engine_jid(&outbound.to);
        let known = engine
            .client
            .get_lid_pn_entry(&jid)
            .await
            .map_err(|error| send_error(error.into()))?;
        if known.is_some() {
            return Ok(());
        }
        let answers = engine
            .client
            .contacts()
            .is_on_whatsapp(&[jid])
            .await
            .map_err(contact_error)?;
        if answers.iter().any(|answer| answer.is_registered) {
            Ok(())
        } else {
            Err(SendError::NotOnWhatsApp)
        }
    }
}

fn refused_passkey(error: whatsapp_rust::passkey::PasskeyError) -> PasskeyError {
    PasskeyError::Refused(Box::new(error))
}

impl fmt::Debug for EngineClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineClient")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl WhatsAppClient for EngineClient {
    async fn run(&self) {
        let _turn = self.turn.lock().await;
        let verdict = if self.watch.begin() {
            self.run_once().await
        } else {
            conclude(self.watch.seen())
        };
        self.watch.finish(verdict);
    }

    async fn send(&self, outbound: OutboundMessage) -> Result<(), SendError> {
        let engine = self.present().ok_or(SendError::NotConnected)?;
        // Before the look at the connection: an end between the two must not be missed.
        let over = self.watch.run_over();
        if !(engine.client.is_connected() && engine.client.is_logged_in()) {
            return Err(SendError::NotConnected);
        }
        tokio::select! {
            sent = self.send_on(&engine, &outbound) => sent,
            // The engine would wait a minute for the connection to come back.
            () = over => Err(SendError::NotConnected),
        }
    }

    async fn request_pairing_code(&self, phone: &Phone) -> Result<(), PairingError> {
        let engine = self.present().ok_or(PairingError::NotConnected)?;
        let over = self.watch.run_over();
        if !engine.client.is_connected() || engine.client.is_logged_in() {
            return Err(PairingError::NotConnected);
        }
        let options = PairCodeOptions {
            phone_number: phone.digits().to_owned(),
            ..PairCodeOptions::default()
        };
        // The server tells the phone which code is asked for by number alone: one that is still typed would fail.
        engine.client.cancel_pair_code().await;
        tokio::select! {
            asked = engine.client.pair_with_code(options) => asked.map(drop).map_err(pairing_error),
            () = over => Err(PairingError::NotConnected),
        }
    }

    async fn answer_passkey(&self, assertion: PasskeyAssertion) -> Result<(), PasskeyError> {
        let engine = self.present().ok_or(PasskeyError::NotAsked)?;
        let over = self.watch.run_over();
        let assertion = Assertion {
            assertion_json: assertion.json.into_bytes(),
            credential_id: assertion.credential_id,
        };
        tokio::select! {
            answered = engine.client.send_passkey_response(assertion) => answered.map_err(refused_passkey),
            () = over => Err(PasskeyError::NotAsked),
        }
    }

    async fn confirm_passkey(&self) -> Result<(), PasskeyError> {
        let engine = self.present().ok_or(PasskeyError::NotAsked)?;
        let over = self.watch.run_over();
        tokio::select! {
            confirmed = engine.client.send_passkey_confirmation() => confirmed.map_err(refused_passkey),
            () = over => Err(PasskeyError::NotAsked),
        }
    }

    fn ask_profile(&self) {
        if let Some(engine) = self.present() {
            shown_profile::ask(&engine.client, &self.watch);
        }
    }

    async fn logout(&self) {
        if let Some(engine) = self.present() {
            self.watch.request_logout();
            engine.client.logout().await;
            // A dial that goes on would keep the run from its end.
            self.watch.stop();
        }
    }

    async fn shutdown(&self) {
        self.watch.end();
        if let Some(engine) = self.present() {
            engine.shut_down().await;
        }
        // The run notices and ends; what it still writes is written when this returns.
        let _turn = self.turn.lock().await;
        self.replace(None);
    }

    fn last_frame_age(&self) -> Option<Duration> {
        self.watch.last_frame_age()
    }
}
