//! The life of one attempt: link, make the string, send it to the account's own chat, hand it over, leave nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use wharf_model::{CloseReason, Content, Lane, MessageStatus, Phone, Recipient, SessionId, SessionState};
use wharf_session::{AcceptError, Leaving, Live, NewMessage, NewSession, Outcome, SessionError};
use wharf_vault::destination::{self, Origin, PlaceError};
use wharf_vault::{Portable, StateFormat as _, export};
use zeroize::Zeroizing;

use super::attempts::{Attempt, Place};
use super::step::{Handover, Step};
use super::{Generator, Inner, Keeper};

/// How long a person has to link his phone, reconnecting included.
const LINK_WITHIN: Duration = Duration::from_secs(5 * 60);
/// How long a linked account may take until messages flow.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// After login, pre-keys are uploaded and the account's names arrive: what the string says should be true by then.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the messages to the account's own chat may take.
const SEND_WITHIN: Duration = Duration::from_secs(20);
/// A page that nobody looks at for so long was closed.
const UNWATCHED: Duration = Duration::from_secs(30);
/// How long an account that was linked when the server was told to stop has to get its string.
const STOP_WITHIN: Duration = Duration::from_secs(6);
/// How long a string waits to be taken.
const KEPT: Duration = Duration::from_secs(3 * 60);

/// What the account's own chat is told before the string.
const NOTICE: &str = "The next message is a session string. Whoever has it can read and write as you, until you remove \
                      this device under Settings, Linked devices. Keep it secret, and give it to no one but your own bot.";

/// Why there is no string.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("nobody linked the account in time")]
    TooLate,
    #[error("the page was closed before the account was linked")]
    GivenUp,
    #[error("{}", .0.sentence())]
    Closed(CloseReason),
    #[error("the server is stopping")]
    Stopping,
    #[error("the string reached nobody; the device was unlinked again")]
    NotDelivered,
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the message to the account's own chat was not accepted")]
    NotAccepted(#[from] AcceptError),
    #[error("the string could not be kept where this server keeps them")]
    NotKept(#[source] Box<PlaceError>),
    #[error("the string could not be made")]
    NotMade(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How the account is to be linked.
#[derive(Clone, Debug)]
pub(super) enum Method {
    Qr,
    Code(Phone),
}

impl Method {
    /// How long nobody may look at the page: who types a code leaves the page for it, on the same phone.
    const fn unwatched(&self) -> Duration {
        match self {
            Self::Qr => UNWATCHED,
            Self::Code(_) => LINK_WITHIN,
        }
    }
}

/// A string that somebody has, or can take.
struct Delivered {
    handover: Handover,
    /// Whether it is in the account's own chat, too.
    sent: bool,
}

/// One attempt at work.
pub(super) struct Work {
    pub(super) generator: Generator,
    pub(super) attempt: Arc<Attempt>,
    pub(super) method: Method,
    pub(super) place: Place,
}

impl Work {
    /// Runs to the end. Whatever happens, nothing of the session is left.
    pub(super) async fn run(self) {
        let Self {
            generator,
            attempt,
            method,
            place,
        } = self;
        let inner = &*generator.inner;
        let end = match inner.new_session().await {
            Ok(id) => inner.attempt(&attempt, id, method, place).await,
            Err(error) => Err(error.into()),
        };
        if let Err(failure) = end {
            tracing::debug!(error = &failure as &dyn std::error::Error, "An attempt came to nothing");
            inner.tell_end(&attempt, Step::failed(&sentence(&failure)));
        }
        inner.attempts.end(&attempt);
    }
}

impl Inner {
    async fn new_session(&self) -> Result<SessionId, SessionError> {
        let new = NewSession {
            name: "attempt".to_owned(),
            ..NewSession::default()
        };
        match self.sessions.create(self.workspace, new, None).await? {
            Outcome::New(view) => Ok(view.id),
            // Without an idempotency key nothing is repeated.
            Outcome::Replayed(_) => Err(SessionError::NotFound),
        }
    }

    /// Whatever happens, nothing of the session is left in the end, and the device stays linked only if somebody has its
    /// string.
    async fn attempt(&self, attempt: &Attempt, id: SessionId, method: Method, place: Place) -> Result<(), Failure> {
        let delivered = match self.deliver(attempt, id, method).await {
            Ok(delivered) => delivered,
            Err(failure) => {
                self.take_back(attempt).await;
                self.wipe(id).await;
                return Err(failure);
            }
        };
        let Delivered { handover, sent } = delivered;
        attempt.put(handover);
        if sent {
            self.hand_over(id).await;
            self.tell_end(attempt, Step::Done { sent });
            // Its place is free before somebody has taken the string: he may be slow.
            drop(place);
            self.until_taken(attempt).await;
        } else {
            // The page is the only way left: until it has the string the session can still be unlinked.
            self.tell_end(attempt, Step::Done { sent });
            if self.until_taken(attempt).await {
                self.hand_over(id).await;
            } else {
                self.take_back(attempt).await;
                self.wipe(id).await;
            }
        }
        Ok(())
    }

    /// Nobody has the string: it is not kept anywhere either.
    async fn take_back(&self, attempt: &Attempt) {
        let Some(receipt) = attempt.take_receipt() else { return };
        if let Err(error) = self.keeper.places.forget(&receipt).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "A session string of an attempt that came to nothing is still where it was kept; it opens nothing"
            );
        }
    }

    fn tell_end(&self, attempt: &Attempt, step: Step) {
        metrics::counter!("wharf_generator_attempts_total", "outcome" => step.name()).increment(1);
        attempt.step.send_replace(step);
    }

    /// Links the account, makes the string, and sends it to the account's own chat.
    async fn deliver(&self, attempt: &Attempt, id: SessionId, method: Method) -> Result<Delivered, Failure> {
        let mut live = self.sessions.watch(self.workspace, id).await?;
        let unwatched = method.unwatched();
        let linking = self.link(attempt, id, method, &mut live);
        tokio::select! {
            linked = tokio::time::timeout(LINK_WITHIN, linking) => linked.unwrap_or(Err(Failure::TooLate))?,
            () = closed(attempt, unwatched) => return Err(Failure::GivenUp),
            () = self.stop.cancelled() => return Err(Failure::Stopping),
        }
        // From here on nobody is needed: who linked his account gets his string, whatever becomes of the page.
        attempt.step.send_replace(Step::Linked);
        tokio::select! {
            made = self.make(attempt, id, &mut live) => made,
            () = async {
                self.stop.cancelled().await;
                tokio::time::sleep(STOP_WITHIN).await;
            } => Err(Failure::Stopping),
        }
    }

    async fn make(
        &self,
        attempt: &Attempt,
        id: SessionId,
        live: &mut watch::Receiver<Live>,
    ) -> Result<Delivered, Failure> {
        let ready = tokio::time::timeout(READY_WITHIN, until_ready(live)).await;
        ready.unwrap_or(Err(Failure::Closed(CloseReason::ConnectionLost)))?;
        tokio::time::sleep(SETTLE).await;
        let handover = self.handover(attempt, id).await?;
        let sent = self.send(id, &handover).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "A session string could not be sent to its own chat"
            );
            false
        });
        let is_watched = !attempt.unattended && attempt.step.receiver_count() > 0 && !self.stop.is_cancelled();
        if sent || is_watched {
            Ok(Delivered { handover, sent })
        } else {
            Err(Failure::NotDelivered)
        }
    }

    /// The string has an owner: the session goes, and the device stays linked.
    async fn hand_over(&self, id: SessionId) {
        let moved = self
            .sessions
            .export(self.workspace, id, self.format.kinds(), Leaving::Nothing);
        if let Err(error) = moved.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "A session could not be taken off the network before it is wiped; its string may not work"
            );
        }
        self.wipe(id).await;
    }

    async fn link(
        &self,
        attempt: &Attempt,
        id: SessionId,
        method: Method,
        live: &mut watch::Receiver<Live>,
    ) -> Result<(), Failure> {
        match method {
            Method::Qr => {
                self.sessions.connect(self.workspace, id).await?;
            }
            Method::Code(phone) => {
                let code = self.sessions.pairing_code(self.workspace, id, &phone).await?;
                attempt.step.send_replace(Step::code(&code.code, code.expires_at));
            }
        }
        loop {
            let now = live.borrow_and_update().clone();
            match now.state {
                SessionState::Authenticated | SessionState::Ready => return Ok(()),
                SessionState::Disconnected { reason, .. } | SessionState::AuthFailed { reason } => {
                    return Err(Failure::Closed(reason));
                }
                SessionState::Pending(_) | SessionState::NotStarted => show(attempt, &now),
            }
            live.changed().await.map_err(|_| Failure::Stopping)?;
        }
    }

    /// Credentials alone: they go on changing nothing once the account is linked, and conversations would be outdated by
    /// the messages that carry the string. Where the operator keeps strings, the string is a short one that leads there.
    async fn handover(&self, attempt: &Attempt, id: SessionId) -> Result<Handover, Failure> {
        let stored = self
            .sessions
            .export(self.workspace, id, self.format.kinds(), Leaving::Running)
            .await?;
        let portable = self
            .format
            .portable(&stored.keys, &stored.rows)
            .map_err(Failure::NotMade)?;
        let portable = portable.ok_or(SessionError::NotLinked)?;
        let session = match self.config.place() {
            Some(place) => self.kept(attempt, place, &portable).await?,
            None => {
                let session = export::session_string(&portable, &self.config.prefix);
                session.map_err(|error| Failure::NotMade(error.into()))?
            }
        };
        Ok(Handover {
            session,
            fingerprint: portable.fingerprint().to_owned(),
        })
    }

    async fn kept(
        &self,
        attempt: &Attempt,
        place: destination::Place,
        portable: &Portable,
    ) -> Result<Zeroizing<String>, Failure> {
        let Keeper { places, workspace } = &self.keeper;
        let origin = Origin {
            workspace: *workspace,
            session: None,
        };
        let receipt = places.keep(place, origin, portable, &self.config.prefix).await;
        let receipt = receipt.map_err(|error| Failure::NotKept(Box::new(error)))?;
        let session = format!("{}{}", self.config.prefix, *receipt.reference);
        attempt.put_receipt(receipt);
        Ok(Zeroizing::new(session))
    }

    /// A notice and the string, to the account's own chat. Says whether WhatsApp has both.
    async fn send(&self, id: SessionId, handover: &Handover) -> Result<bool, Failure> {
        let view = self.sessions.get(self.workspace, id).await?;
        let Some(own) = view
            .profile
            .phone_number
            .and_then(|number| number.parse::<Recipient>().ok())
        else {
            return Ok(false);
        };
        let mut sent = true;
        for text in [NOTICE, &handover.session] {
            let new = NewMessage {
                session_id: id,
                to: own.clone(),
                content: Content::text(text.to_owned()),
                lane: Lane::Interactive,
                send_at: None,
                expires_in: Some(SEND_WITHIN),
                metadata: None,
                allowance: None,
            };
            // Without an idempotency key nothing is repeated.
            let Outcome::New(message) = self.sessions.accept(self.workspace, new, None).await? else {
                return Ok(false);
            };
            sent &= self.is_sent(message.id).await?;
        }
        Ok(sent)
    }

    async fn is_sent(&self, id: wharf_model::MessageId) -> Result<bool, Failure> {
        const LOOK: Duration = Duration::from_millis(200);
        let until = Instant::now() + SEND_WITHIN;
        while Instant::now() < until {
            match self.sessions.message(self.workspace, id).await?.status {
                MessageStatus::Queued | MessageStatus::Sending => tokio::time::sleep(LOOK).await,
                MessageStatus::Failed | MessageStatus::Expired | MessageStatus::Cancelled => return Ok(false),
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// A session that was handed over is off and stays linked; any other one is logged out. Neither leaves a key.
    async fn wipe(&self, id: SessionId) {
        if let Err(error) = self.sessions.delete(self.workspace, id).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "What an attempt left in memory could not be wiped; it is gone when the server stops"
            );
        }
    }

    /// Whether somebody took the string while it was kept.
    async fn until_taken(&self, attempt: &Attempt) -> bool {
        let until = Instant::now() + if attempt.unattended { Duration::ZERO } else { KEPT };
        while !attempt.is_taken() && Instant::now() < until && !self.stop.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        attempt.take().is_none()
    }
}

fn show(attempt: &Attempt, live: &Live) {
    let step = match (&live.pairing_code, &live.qr) {
        (Some(code), _) => Step::code(&code.code, code.expires_at),
        (None, Some(qr)) => Step::qr(qr.text.clone(), qr.expires_at),
        (None, None) => Step::Connecting,
    };
    attempt.step.send_if_modified(|shown| {
        let changed = *shown != step;
        *shown = step;
        changed
    });
}

async fn until_ready(live: &mut watch::Receiver<Live>) -> Result<(), Failure> {
    let settled = |live: &Live| matches!(live.state, SessionState::Ready) || refusal(live).is_some();
    let live = live.wait_for(settled).await.map_err(|_| Failure::Stopping)?;
    refusal(&live).map_or(Ok(()), |reason| Err(Failure::Closed(reason)))
}

/// Why the session will not become ready; one that lost its connection tries again.
fn refusal(live: &Live) -> Option<CloseReason> {
    match live.state {
        SessionState::AuthFailed { reason } => Some(reason),
        SessionState::Disconnected { reason, .. } => Some(reason).filter(|reason| reason.is_permanent()),
        _ => None,
    }
}

/// Returns when the page gives the attempt up, or nobody has looked at it for a while.
async fn closed(attempt: &Attempt, most: Duration) {
    let unwatched = async {
        let mut since = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if attempt.step.receiver_count() > 0 || attempt.unattended {
                since = Instant::now();
            } else if since.elapsed() >= most {
                return;
            }
        }
    };
    tokio::select! {
        () = attempt.given_up.cancelled() => {}
        () = unwatched => {}
    }
}

/// With a capital letter and a full stop.
fn sentence(failure: &Failure) -> String {
    let text = failure.to_string();
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = letters.as_str().trim_end_matches('.');
    format!("{first}{rest}.")
}
