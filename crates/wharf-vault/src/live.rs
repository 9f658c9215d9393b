//! The port to WhatsApp: whether it still accepts credentials. `wharf-whatsapp` implements it.

use std::fmt;

use async_trait::async_trait;

use crate::check::Check;
use crate::credentials::Credentials;

/// What WhatsApp says of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The device is linked, and the account is in order.
    Accepted,
    /// The account has removed the device, or it was never linked.
    Unlinked,
    /// WhatsApp has banned the account for a time, or locked it.
    Banned,
    /// WhatsApp does not take clients of this version any more: this says nothing of the credentials.
    Outdated,
    /// Another refusal, with WhatsApp's code.
    Refused(Option<u16>),
}

impl Verdict {
    /// As a check among the others.
    pub const fn check(self) -> Check {
        let (ok, detail) = match self {
            Self::Accepted => (
                true,
                "WhatsApp accepted the login. Whoever was logged in as this device was disconnected and may come back.",
            ),
            Self::Unlinked => (
                false,
                "WhatsApp does not know this device any more: the account removed it.",
            ),
            Self::Banned => (
                false,
                "WhatsApp knows the device and refuses the account: it is banned or locked.",
            ),
            Self::Outdated => (
                false,
                "WhatsApp refused this server's version, which says nothing of the credentials.",
            ),
            Self::Refused(_) => (false, "WhatsApp refused the login."),
        };
        Check {
            name: "login",
            ok,
            detail,
        }
    }
}

/// WhatsApp was not reached, or did not answer: nothing is known of the credentials.
#[derive(Debug, thiserror::Error)]
#[error("WhatsApp could not be asked: {0}")]
pub struct LoginError(pub Box<dyn std::error::Error + Send + Sync>);

/// Logs in and leaves at once.
#[async_trait]
pub trait LiveLogin: Send + Sync + fmt::Debug {
    /// Logs in passively and hangs up at the answer: no message is taken, nothing is stored. Replaces whoever is logged
    /// in as this device.
    ///
    /// # Errors
    /// [`LoginError`] when there was no answer.
    async fn try_login(&self, credentials: &Credentials) -> Result<Verdict, LoginError>;
}
