//! The session state machine: a pure function from a state and an input to the next state and what must be done.
//! It decides and never performs. The actor in `wharf-session` is the only one that feeds it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::message::UnknownName;
use crate::{CloseReason, Timestamp};

/// The six states as users know them; [`SessionState`] carries their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionStatus {
    /// Never connected.
    NotStarted,
    /// Waiting for a person to link the account.
    Pending,
    /// The account knows us; the connection is being set up.
    Authenticated,
    /// Messages flow.
    Ready,
    /// The account refuses us.
    AuthFailed,
    /// Not connected, for a known reason.
    Disconnected,
}

impl SessionStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::NotStarted,
        Self::Pending,
        Self::Authenticated,
        Self::Ready,
        Self::AuthFailed,
        Self::Disconnected,
    ];

    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::Pending => "pending",
            Self::Authenticated => "authenticated",
            Self::Ready => "ready",
            Self::AuthFailed => "auth_failed",
            Self::Disconnected => "disconnected",
        }
    }
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SessionStatus {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownName("session status"))
    }
}

/// What a person must do while a session is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingStep {
    /// Nothing yet: the connection is being opened.
    Connecting,
    /// Scan the QR that the actor holds; its text is never part of the state.
    ScanQr {
        /// When this QR stops working; another follows or the link times out.
        expires_at: Timestamp,
    },
    /// Type the code that the actor holds into the phone. A QR that is shown meanwhile works as well.
    EnterCode {
        /// When this code stops working.
        expires_at: Timestamp,
    },
    /// Sign the challenge that the actor holds with the account's passkey.
    SignWithPasskey,
    /// Compare the code that the actor holds with the one that the phone shows.
    ConfirmPasskey,
}

impl PendingStep {
    /// The stable name on the wire (`connection_step`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::ScanQr { .. } => "scan_qr",
            Self::EnterCode { .. } => "enter_code",
            Self::SignWithPasskey => "passkey_required",
            Self::ConfirmPasskey => "passkey_confirm",
        }
    }
}

/// Where a session is. States carry their data; there are no flags beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Never connected, or logged out and cleaned up.
    NotStarted,
    /// Waiting for a person to link the account.
    Pending(PendingStep),
    /// The account knows us; the connection is being set up.
    Authenticated,
    /// Messages flow.
    Ready,
    /// The account refuses us.
    AuthFailed {
        /// Why.
        reason: CloseReason,
    },
    /// Not connected.
    Disconnected {
        /// Why.
        reason: CloseReason,
        /// How many tries in a row have failed since the session was last ready.
        attempt: u32,
        /// When the next try is; `None` when a person has to ask for it.
        next_attempt_at: Option<Timestamp>,
    },
}

/// What can happen to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An operator, the supervisor or a due retry wants the session connected. `linked`: its keys are already known to
    /// an account.
    Connect {
        /// Whether the stored device is linked.
        linked: bool,
    },
    /// A QR is to be shown.
    QrShown {
        /// When it stops working.
        expires_at: Timestamp,
    },
    /// A pairing code is to be shown.
    CodeShown {
        /// When it stops working.
        expires_at: Timestamp,
    },
    /// The pairing code does not work any more.
    CodeLapsed,
    /// The account has a passkey: it is to sign before the link goes on.
    PasskeyAsked,
    /// It signed; a person is to compare two codes.
    PasskeyShown,
    /// The account linked us.
    Linked,
    /// The server accepted the login.
    LoggedIn,
    /// Everything that a connection needs is set up.
    Opened,
    /// The connection ended.
    Closed {
        /// Why.
        reason: CloseReason,
        /// The present moment.
        now: Timestamp,
        /// A random number in 0..=1000, which spreads retries out.
        jitter: u16,
    },
    /// An operator wants the session off.
    Disconnect,
    /// An operator wants the device unlinked and its keys shredded.
    Logout,
    /// Another program has the credentials for good: the keys here are to go, and the device stays linked.
    Moved,
}

/// What the actor must do after a transition, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Build a client and run it.
    Dial,
    /// Run the client again at once (515 after linking).
    Redial,
    /// Dial again at this time.
    DialAt(Timestamp),
    /// Close the connection, keep the keys.
    HangUp,
    /// Unlink the device at WhatsApp, close, shred the keys.
    Unlink,
    /// Shred the keys; WhatsApp is not told.
    Shred,
    /// The account unlinked us: shred the keys once the retention time has passed.
    ShredLater,
    /// Forget the QR, the pairing code and what is asked of a passkey.
    ForgetSecrets,
    /// Store the new state and write its event.
    Announce,
}

/// An input that means nothing in a state. The session stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} means nothing while {state:?}")]
pub struct InvalidTransition {
    /// The state, unchanged.
    pub state: SessionState,
    /// What was not understood.
    pub input: Input,
}

type Step = (SessionState, Vec<Effect>);

impl SessionState {
    /// The state without its data.
    pub const fn status(self) -> SessionStatus {
        match self {
            Self::NotStarted => SessionStatus::NotStarted,
            Self::Pending(_) => SessionStatus::Pending,
            Self::Authenticated => SessionStatus::Authenticated,
            Self::Ready => SessionStatus::Ready,
            Self::AuthFailed { .. } => SessionStatus::AuthFailed,
            Self::Disconnected { .. } => SessionStatus::Disconnected,
        }
    }

    /// Why the session is not connected, where it is not.
    pub const fn reason(self) -> Option<CloseReason> {
        match self {
            Self::AuthFailed { reason } | Self::Disconnected { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// When the next try is, where one is planned.
    pub const fn next_attempt_at(self) -> Option<Timestamp> {
        match self {
            Self::Disconnected { next_attempt_at, .. } => next_attempt_at,
            _ => None,
        }
    }

    /// The next state and what must be done.
    ///
    /// # Errors
    /// [`InvalidTransition`] for an input that means nothing here; nothing changes then.
    pub fn on(self, input: Input) -> Result<Step, InvalidTransition> {
        match input {
            Input::Connect { linked } => self.on_connect(linked),
            Input::QrShown { expires_at } => self.on_qr(expires_at),
            Input::CodeShown { expires_at } => self.on_code(expires_at),
            Input::CodeLapsed => self.on_code_lapsed(),
            Input::PasskeyAsked => self.on_passkey(PendingStep::SignWithPasskey, input),
            Input::PasskeyShown => self.on_passkey(PendingStep::ConfirmPasskey, input),
            Input::Linked => self.on_linked(),
            Input::LoggedIn => self.on_logged_in(),
            Input::Opened => self.on_opened(),
            Input::Closed { reason, now, jitter } => self.on_closed(reason, now, jitter),
            Input::Disconnect => Ok(self.on_disconnect()),
            Input::Logout => Ok((
                Self::NotStarted,
                vec![Effect::Unlink, Effect::ForgetSecrets, Effect::Announce],
            )),
            Input::Moved => Ok((
                Self::NotStarted,
                vec![Effect::HangUp, Effect::Shred, Effect::ForgetSecrets, Effect::Announce],
            )),
        }
    }

    fn refuse(self, input: Input) -> Result<Step, InvalidTransition> {
        Err(InvalidTransition { state: self, input })
    }

    fn on_connect(self, linked: bool) -> Result<Step, InvalidTransition> {
        match self {
            Self::Pending(_) | Self::Authenticated | Self::Ready => self.refuse(Input::Connect { linked }),
            // The count of failed tries survives the dial: a server that accepts and drops must not reset the backoff.
            Self::Disconnected { .. } if linked => Ok((self.without_next_attempt(), vec![Effect::Dial])),
            Self::NotStarted | Self::AuthFailed { .. } | Self::Disconnected { .. } if linked => {
                Ok((Self::Authenticated, vec![Effect::Dial, Effect::Announce]))
            }
            Self::NotStarted | Self::AuthFailed { .. } | Self::Disconnected { .. } => Ok((
                Self::Pending(PendingStep::Connecting),
                vec![Effect::Dial, Effect::Announce],
            )),
        }
    }

    fn without_next_attempt(self) -> Self {
        match self {
            Self::Disconnected { reason, attempt, .. } => Self::Disconnected {
                reason,
                attempt,
                next_attempt_at: None,
            },
            other => other,
        }
    }

    fn on_qr(self, expires_at: Timestamp) -> Result<Step, InvalidTransition> {
        match self {
            // Somebody types a code or has a passkey sign; the QR beside it is for whoever looks for one.
            Self::Pending(
                PendingStep::EnterCode { .. } | PendingStep::SignWithPasskey | PendingStep::ConfirmPasskey,
            ) => Ok((self, Vec::new())),
            Self::Pending(_) => Ok((
                Self::Pending(PendingStep::ScanQr { expires_at }),
                vec![Effect::Announce],
            )),
            _ => self.refuse(Input::QrShown { expires_at }),
        }
    }

    fn on_code(self, expires_at: Timestamp) -> Result<Step, InvalidTransition> {
        match self {
            Self::Pending(_) => Ok((
                Self::Pending(PendingStep::EnterCode { expires_at }),
                vec![Effect::Announce],
            )),
            _ => self.refuse(Input::CodeShown { expires_at }),
        }
    }

    fn on_code_lapsed(self) -> Result<Step, InvalidTransition> {
        match self {
            Self::Pending(PendingStep::EnterCode { .. }) => Ok((
                Self::Pending(PendingStep::Connecting),
                vec![Effect::ForgetSecrets, Effect::Announce],
            )),
            _ => self.refuse(Input::CodeLapsed),
        }
    }

    fn on_passkey(self, step: PendingStep, input: Input) -> Result<Step, InvalidTransition> {
        match self {
            Self::Pending(_) => Ok((Self::Pending(step), vec![Effect::Announce])),
            _ => self.refuse(input),
        }
    }

    fn on_linked(self) -> Result<Step, InvalidTransition> {
        match self {
            Self::Pending(_) => Ok((Self::Authenticated, vec![Effect::ForgetSecrets, Effect::Announce])),
            _ => self.refuse(Input::Linked),
        }
    }

    fn on_logged_in(self) -> Result<Step, InvalidTransition> {
        match self {
            Self::Pending(_) => Ok((Self::Authenticated, vec![Effect::ForgetSecrets, Effect::Announce])),
            Self::Disconnected { .. } => Ok((Self::Authenticated, vec![Effect::Announce])),
            Self::Authenticated | Self::Ready => Ok((self, Vec::new())),
            Self::NotStarted | Self::AuthFailed { .. } => self.refuse(Input::LoggedIn),
        }
    }

    fn on_opened(self) -> Result<Step, InvalidTransition> {
        match self {
            Self::Pending(_) | Self::Authenticated | Self::Disconnected { .. } => {
                Ok((Self::Ready, vec![Effect::ForgetSecrets, Effect::Announce]))
            }
            Self::Ready => Ok((self, Vec::new())),
            Self::NotStarted | Self::AuthFailed { .. } => self.refuse(Input::Opened),
        }
    }

    fn on_closed(self, reason: CloseReason, now: Timestamp, jitter: u16) -> Result<Step, InvalidTransition> {
        match self {
            // Nothing was open; a late word of a client that was already told to stop.
            Self::NotStarted | Self::AuthFailed { .. } => self.refuse(Input::Closed { reason, now, jitter }),
            Self::Pending(_) if reason == CloseReason::RestartRequired => Ok((self, vec![Effect::Redial])),
            Self::Authenticated | Self::Ready if reason == CloseReason::RestartRequired => {
                Ok((Self::Authenticated, vec![Effect::Redial]))
            }
            // Nobody is linked yet: trying again on our own would show QRs to nobody, forever.
            Self::Pending(_) => Ok(stopped(reason)),
            _ if reason.is_permanent() => Ok(stopped(reason)),
            Self::Authenticated | Self::Ready | Self::Disconnected { .. } => Ok(self.retry(reason, now, jitter)),
        }
    }

    fn retry(self, reason: CloseReason, now: Timestamp, jitter: u16) -> Step {
        let attempt = match self {
            Self::Disconnected { attempt, .. } => attempt.saturating_add(1),
            _ => 1,
        };
        let at = now + backoff(attempt, reason, jitter);
        let next = Self::Disconnected {
            reason,
            attempt,
            next_attempt_at: Some(at),
        };
        (next, vec![Effect::HangUp, Effect::Announce, Effect::DialAt(at)])
    }

    fn on_disconnect(self) -> Step {
        match self {
            Self::NotStarted | Self::AuthFailed { .. } => (self, vec![Effect::HangUp]),
            _ => {
                let next = Self::Disconnected {
                    reason: CloseReason::Requested,
                    attempt: 0,
                    next_attempt_at: None,
                };
                (next, vec![Effect::HangUp, Effect::ForgetSecrets, Effect::Announce])
            }
        }
    }
}

fn stopped(reason: CloseReason) -> Step {
    let next = if reason.is_auth_failure() {
        SessionState::AuthFailed { reason }
    } else {
        SessionState::Disconnected {
            reason,
            attempt: 0,
            next_attempt_at: None,
        }
    };
    let mut effects = vec![Effect::HangUp, Effect::ForgetSecrets, Effect::Announce];
    if reason.is_unlink() {
        effects.push(Effect::ShredLater);
    }
    (next, effects)
}

/// How long to wait before try number `attempt` (1 is the first): 1 s, doubling to 5 minutes, between half and the
/// whole of it by `jitter` in 0..=1000, so that a thousand sessions do not come back in one second. A server that asks
/// for a slower pace gets five steps more at once.
pub fn backoff(attempt: u32, reason: CloseReason, jitter: u16) -> Duration {
    const LONGEST: u64 = 300_000;
    let penalty = if reason == CloseReason::RateLimited { 5 } else { 0 };
    let steps = attempt.saturating_sub(1).saturating_add(penalty).min(16);
    let whole = (1_000_u64 << steps).min(LONGEST);
    let spread = u64::from(jitter.min(1000));
    Duration::from_millis(whole / 2 + whole / 2 * spread / 1000)
}

#[cfg(test)]
mod tests;
