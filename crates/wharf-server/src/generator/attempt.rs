//! The life of one attempt: link, make the string, send it to the account's own chat, hand it over, leave nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use wharf_model::{CloseReason, Content, Lane, MessageStatus, Phone, Recipient, SessionId, SessionState};
use wharf_session::{AcceptError, Leaving, Live, NewMessage, NewSession, Outcome, SessionError};
use wharf_vault::{StateFormat as _, export};

use super::attempts::{Attempt, Place};
use super::step::{Handover, Step};
use super::{Generator, Inner};

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
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the message to the account's own chat was not accepted")]
    NotAccepted(#[from] AcceptError),
    #[error("the string could not be made")]
    NotMade(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How the account is to be linked.
#[derive(Clone, Debug)]
pub(super) enum Method {
    Qr,
    Code(Phone),
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
            Ok(id) => {
                let end = inner.attempt(&attempt, id, method).await;
                inner.wipe(id).await;
                end
            }
            Err(error) => Err(error.into()),
        };
        let step = match end {
            Ok(sent) => Step::Done { sent },
            Err(failure) => {
                tracing::debug!(error = &failure as &dyn std::error::Error, "An attempt came to nothing");
                Step::failed(&sentence(&failure))
            }
        };
        metrics::counter!("wharf_generator_attempts_total", "outcome" => step.name()).increment(1);
        attempt.step.send_replace(step);
        // The slot is free before somebody has taken the string: he may be slow.
        drop(place);
        inner.keep_until_taken(&attempt).await;
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

    /// Whether the string is in the account's own chat, too.
    async fn attempt(&self, attempt: &Attempt, id: SessionId, method: Method) -> Result<bool, Failure> {
        let mut live = self.sessions.watch(self.workspace, id).await?;
        let linking = self.link(attempt, id, method, &mut live);
        tokio::select! {
            linked = tokio::time::timeout(LINK_WITHIN, linking) => linked.unwrap_or(Err(Failure::TooLate))?,
            () = closed(attempt) => return Err(Failure::GivenUp),
            () = self.stop.cancelled() => return Err(Failure::Stopping),
        }
        // From here on nobody is needed: who linked his account gets his string, whatever becomes of the page.
        attempt.step.send_replace(Step::Linked);
        let ready = tokio::time::timeout(READY_WITHIN, until_ready(&mut live)).await;
        ready.unwrap_or(Err(Failure::Closed(CloseReason::ConnectionLost)))?;
        tokio::time::sleep(SETTLE).await;
        let handover = self.handover(id).await?;
        let sent = self.send(id, &handover).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "A session string could not be sent to its own chat"
            );
            false
        });
        // Off for good, and the device stays linked: from here on it is the string's.
        self.sessions
            .export(self.workspace, id, self.format.kinds(), Leaving::Nothing)
            .await?;
        attempt.put(handover);
        Ok(sent)
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
    /// the messages that carry the string.
    async fn handover(&self, id: SessionId) -> Result<Handover, Failure> {
        let stored = self
            .sessions
            .export(self.workspace, id, self.format.kinds(), Leaving::Running)
            .await?;
        let portable = self
            .format
            .portable(&stored.keys, &stored.rows)
            .map_err(Failure::NotMade)?;
        let portable = portable.ok_or(SessionError::NotLinked)?;
        let session = export::session_string(&portable, &self.config.prefix);
        Ok(Handover {
            session: session.map_err(|error| Failure::NotMade(error.into()))?,
            fingerprint: portable.fingerprint().to_owned(),
        })
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

    async fn keep_until_taken(&self, attempt: &Attempt) {
        let until = Instant::now() + if attempt.unattended { Duration::ZERO } else { KEPT };
        while !attempt.is_taken() && Instant::now() < until && !self.stop.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        drop(attempt.take());
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
    let settled = |live: &Live| {
        let given_up = live.state.reason().is_some() && live.state.next_attempt_at().is_none();
        matches!(live.state, SessionState::Ready) || given_up
    };
    let live = live.wait_for(settled).await.map_err(|_| Failure::Stopping)?;
    live.state
        .reason()
        .map_or(Ok(()), |reason| Err(Failure::Closed(reason)))
}

/// Returns when the page gives the attempt up, or nobody has looked at it for a while.
async fn closed(attempt: &Attempt) {
    let unwatched = async {
        let mut since = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if attempt.step.receiver_count() > 0 || attempt.unattended {
                since = Instant::now();
            } else if since.elapsed() >= UNWATCHED {
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
