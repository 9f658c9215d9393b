//! Building a client and running it, and what its connection says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::AbortOnDropHandle;
use wharf_model::{CloseReason, Input, SessionState};
use wharf_storage::audit::Action;
use wharf_storage::sessions::SessionProfile;

use super::inbox::Inbox;
use super::journal::Change;
use super::link::Link;
use super::{Actor, Start};
use crate::live::QrCode;
use crate::port::{AccountProfile, ClientError, ClientEvent, SessionLease, ShownProfile};
use crate::telemetry;

/// A client that is being built, once its turn has come.
pub(super) type Dialling = AbortOnDropHandle<Dialled>;

/// The end of a turn.
#[derive(Default)]
pub(super) struct Dialled {
    permit: Option<OwnedSemaphorePermit>,
    built: Built,
}

/// What came of building a client.
#[derive(Default)]
enum Built {
    /// There was one already.
    #[default]
    AtHand,
    New(Box<Link>),
    Failed(ClientError),
    Panicked,
}

pub(super) async fn finished(dialling: &mut Option<Dialling>) -> Dialled {
    let ended = match dialling {
        Some(dialling) => dialling.await,
        None => std::future::pending().await,
    };
    *dialling = None;
    ended.unwrap_or(Dialled {
        permit: None,
        built: Built::Panicked,
    })
}

impl Actor {
    /// Brings the session up, as far as it is not up or on its way already.
    pub(super) async fn connect(&mut self, start: Start) -> Result<(), crate::SessionError> {
        if self.unlinked {
            self.start_afresh().await?;
        }
        let linked = self.cx.network.is_linked(self.lease()).await?;
        self.pause = match start {
            Start::Staggered => self.random_pause(),
            Start::Prompt => Duration::ZERO,
        };
        if !linked {
            telemetry::link("started");
        }
        self.feed(Input::Connect { linked }, None).await;
        Ok(())
    }

    fn random_pause(&self) -> Duration {
        let most = u64::try_from(self.cx.config.start_jitter.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.cx.random.below(most + 1))
    }

    pub(super) fn lease(&self) -> SessionLease {
        let fence = self.journal.fence();
        SessionLease {
            workspace: self.journal.workspace(),
            session: fence.session,
            epoch: fence.epoch,
        }
    }

    /// Waits for a turn, then builds a client or starts the one at hand.
    pub(super) fn dial(&mut self) {
        self.dial_at = None;
        let (cx, lease, pause) = (Arc::clone(&self.cx), self.lease(), std::mem::take(&mut self.pause));
        let build = self.link.is_none();
        let setup = self.setup.clone();
        let inbox = Inbox::new(&self.cx, self.ledger.clone());
        let turn = async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            // The semaphore is never closed; without a permit the dial would only be unpaced.
            let permit = Arc::clone(&cx.dialling).acquire_owned().await.ok();
            if !build {
                return Dialled {
                    permit,
                    ..Dialled::default()
                };
            }
            let (sender, events) = mpsc::unbounded_channel();
            let built = match cx.network.client(lease, setup.clone(), sender, Arc::new(inbox)).await {
                Ok(client) => Built::New(Box::new(Link::new(client, events, setup))),
                Err(error) => Built::Failed(error),
            };
            Dialled { permit, built }
        };
        self.dialling = Some(AbortOnDropHandle::new(tokio::spawn(turn)));
    }

    pub(super) async fn on_dialled(&mut self, dialled: Dialled) {
        let reason = match dialled.built {
            Built::AtHand => None,
            Built::New(link) => {
                self.link = Some(*link);
                None
            }
            Built::Failed(error) => {
                self.complain(&error, "The protocol client could not be built");
                Some(reason_of(&error))
            }
            Built::Panicked => Some(CloseReason::EngineStopped),
        };
        match (reason, &mut self.link) {
            (None, Some(link)) => link.start(dialled.permit),
            (reason, _) => {
                self.feed_closed(reason.unwrap_or(CloseReason::EngineStopped), None)
                    .await;
            }
        }
    }

    /// The restart that follows linking: the same client, at once.
    pub(super) fn redial(&mut self) {
        match &mut self.link {
            Some(link) => link.start(None),
            None => self.dial(),
        }
    }

    /// A planned retry is due.
    pub(super) async fn redial_when_due(&mut self) {
        if let Err(error) = self.connect(Start::Prompt).await {
            self.complain(&error, "The session could not be dialled; it is tried again");
            self.dial_later().await;
        }
    }

    /// Closes the connection. A client whose connection ended by itself, and which will be started again, stays.
    pub(super) async fn hang_up(&mut self) {
        self.dialling = None;
        self.dial_at = None;
        self.outbox.disconnected();
        let reusable = self.state.next_attempt_at().is_some()
            && !matches!(
                self.state.reason(),
                Some(CloseReason::StorageFailed | CloseReason::KeepaliveTimeout)
            );
        let Some(mut link) = self.link.take() else { return };
        if reusable && link.setup() == &self.setup && link.settle().await {
            self.link = Some(link);
        } else {
            link.shut().await;
        }
    }

    /// What the connection said, in its order. Acks and receipts that arrived together are stored together.
    pub(super) async fn on_events(&mut self, events: Vec<ClientEvent>) {
        let mut reports = Vec::new();
        for event in events {
            match event {
                ClientEvent::Ack { .. } | ClientEvent::Receipt { .. } => reports.push(event),
                other => {
                    self.on_reports(std::mem::take(&mut reports)).await;
                    self.on_event(other).await;
                }
            }
        }
        self.on_reports(reports).await;
    }

    async fn on_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Qr { text, valid_for } => self.on_qr(text, valid_for).await,
            ClientEvent::PairingCode { code, valid_for } => self.on_pairing_code(code, valid_for).await,
            ClientEvent::PairingCodeLapsed => self.on_code_lapsed().await,
            ClientEvent::PasskeyAsked { options } => self.on_passkey_asked(options).await,
            ClientEvent::PasskeyShown { code, is_known } => self.on_passkey_shown(code, is_known).await,
            ClientEvent::PasskeyFailed => self.on_passkey_failed().await,
            ClientEvent::Linked(account) => {
                self.note_account(&account);
                self.audit(Action::SessionLinked);
                self.feed(Input::Linked, None).await;
            }
            ClientEvent::LoggedIn => {
                self.dialled();
                self.feed(Input::LoggedIn, None).await;
            }
            ClientEvent::Opened(account) => self.on_opened(account).await,
            ClientEvent::Renamed(name) => self.rename(name).await,
            ClientEvent::Shown(shown) => self.keep_shown(shown).await,
            ClientEvent::ShownChanged => self.ask_profile(),
            ClientEvent::Undecryptable => telemetry::undecryptable(),
            ClientEvent::Closed { reason, detail } => self.on_closed(reason, detail).await,
            ClientEvent::Ack { .. } | ClientEvent::Receipt { .. } => self.on_reports(vec![event]).await,
        }
    }

    async fn on_qr(&mut self, text: String, valid_for: Duration) {
        if !matches!(self.state, SessionState::Pending(_)) {
            return;
        }
        self.dialled();
        let expires_at = self.cx.clock.now() + valid_for;
        self.qr = Some(QrCode { text, expires_at });
        self.feed(Input::QrShown { expires_at }, None).await;
    }

    async fn on_opened(&mut self, account: Option<AccountProfile>) {
        self.dialled();
        if let Some(account) = account {
            self.note_account(&account);
        }
        let was_ready = self.is_ready();
        self.feed(Input::Opened, None).await;
        if self.is_ready() && !was_ready {
            self.settle();
            self.outbox.connected();
            if self.is_profile_old() {
                self.ask_profile();
            }
        }
        self.save().await;
    }

    async fn on_closed(&mut self, reason: CloseReason, detail: Option<String>) {
        if let Some(link) = &mut self.link
            && !link.settle().await
        {
            tracing::warn!(session.id = %self.slot.session, "The client did not end after its connection closed; it is replaced");
            if let Some(link) = self.link.take() {
                link.shut().await;
            }
        }
        self.outbox.disconnected();
        self.feed_closed(reason, detail).await;
    }

    /// However the connection ended.
    pub(super) fn note_last_seen(&mut self) {
        self.keep_profile(SessionProfile {
            last_seen: Some(self.cx.clock.now()),
            ..self.profile.clone()
        });
    }

    fn is_profile_old(&self) -> bool {
        let Some(stands) = self.cx.config.profile_stands else {
            return false;
        };
        let asked = self.profile.asked_at;
        asked.is_none_or(|asked| self.cx.clock.now() >= asked + stands)
    }

    fn ask_profile(&self) {
        if let Some(link) = self.link.as_ref().filter(|_| self.cx.config.profile_stands.is_some()) {
            link.client().ask_profile();
        }
    }

    async fn keep_shown(&mut self, shown: ShownProfile) {
        self.keep_profile(SessionProfile {
            profile_picture_url: shown.picture_url,
            status_message: shown.about,
            asked_at: Some(self.cx.clock.now()),
            ..self.profile.clone()
        });
        self.save().await;
    }

    /// Credentials that come from elsewhere get a quiet moment first: keys are uploaded, and who wrote under old ones is
    /// asked to write again.
    fn settle(&mut self) {
        if std::mem::take(&mut self.is_import) {
            let until = self.cx.clock.now() + self.cx.config.import_quiet;
            self.outbox.pacer().hold(until);
        }
    }

    /// The next session may dial.
    fn dialled(&mut self) {
        if let Some(link) = &mut self.link {
            link.dialled();
        }
    }

    fn note_account(&mut self, account: &AccountProfile) {
        let profile = SessionProfile {
            phone_number: Some(format!("+{}", account.phone.user())),
            whatsapp_id: Some(account.phone.to_string()),
            lid: account.lid.as_ref().map(ToString::to_string),
            profile_name: account.push_name.clone().or_else(|| self.profile.profile_name.clone()),
            platform: account.platform.clone().or_else(|| self.profile.platform.clone()),
            ..self.profile.clone()
        };
        self.keep_profile(profile);
        if let Some(fingerprint) = &account.fingerprint
            && self.fingerprint.as_ref() != Some(fingerprint)
        {
            self.fingerprint = Some(fingerprint.clone());
            self.unsaved.push_back(Change::Fingerprint(fingerprint.clone()));
        }
    }

    async fn rename(&mut self, name: String) {
        self.keep_profile(SessionProfile {
            profile_name: Some(name),
            ..self.profile.clone()
        });
        self.save().await;
    }

    /// An unchanged profile is not written again at every login.
    fn keep_profile(&mut self, profile: SessionProfile) {
        if profile != self.profile {
            self.profile = profile.clone();
            self.unsaved.push_back(Change::Profile(profile));
        }
    }
}

const fn reason_of(error: &ClientError) -> CloseReason {
    match error {
        ClientError::Storage(_) => CloseReason::StorageFailed,
        ClientError::Engine(_) => CloseReason::EngineStopped,
    }
}
