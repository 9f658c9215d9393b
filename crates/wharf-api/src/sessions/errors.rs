//! What the facade's refusals mean to a client.

use std::time::Duration;

use wharf_model::CloseReason;
use wharf_session::port::{PairingError, PasskeyError};
use wharf_session::{IdempotencyError, InUse, SessionError};
use wharf_vault::VaultError;
use wharf_vault::destination::PlaceError;

use crate::error::ApiError;

/// How long to wait for the next pairing code where WhatsApp does not say.
const PAIRING_PAUSE: Duration = Duration::from_secs(5 * 60);

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotFound => Self::SessionNotFound,
            SessionError::NotPending => Self::NotPending,
            SessionError::AlreadyLinked => Self::AlreadyLinked,
            SessionError::Pairing(error) => error.into(),
            SessionError::NotLinkable(reason @ (CloseReason::ProxyFailed | CloseReason::AddressRefused)) => {
                Self::ProxyFailed(reason)
            }
            SessionError::Passkey(error) => error.into(),
            SessionError::NotLinkable(reason) => Self::NotReady(format!(
                "The session could not be brought to where it can be linked: {}",
                reason.sentence()
            )),
            SessionError::Name => Self::invalid_field("/name", "invalid_length", "Must have 1 to 100 characters."),
            SessionError::Metadata => metadata_too_large(),
            SessionError::Pacing(error) => Self::invalid_field("/pacing", "contradiction", error.to_string()),
            SessionError::Idempotency(error) => error.into(),
            SessionError::NotAtRest => Self::NotAtRest,
            SessionError::NotLinked => Self::NotLinked,
            SessionError::Moving => Self::SessionMoving,
            SessionError::NotMoving => Self::NotMoving,
            SessionError::InUse(InUse { by }) => Self::CredentialsInUse(by),
            SessionError::Quota(reached) => Self::SessionQuotaReached(reached),
            SessionError::NotConverted(error) => Self::Internal(error),
            SessionError::Stopping => Self::NotReady("The server is stopping.".to_owned()),
            SessionError::Restarting => Self::NotReady("The session is being restarted.".to_owned()),
            SessionError::NotStored => Self::NotStored("The order was carried out; its outcome is not stored yet."),
            SessionError::NotShredded => Self::NotStored("The device was unlinked; its keys are not shredded yet."),
            SessionError::Client(error) => Self::internal(error),
            SessionError::Storage(error) => error.into(),
        }
    }
}

impl From<PairingError> for ApiError {
    fn from(error: PairingError) -> Self {
        match error {
            PairingError::NotConnected => Self::NotReady("The session lost its connection. Try again.".to_owned()),
            PairingError::Refused => Self::PairingRefused,
            PairingError::Throttled { retry_after } => Self::PairingThrottled {
                retry_after: retry_after.unwrap_or(PAIRING_PAUSE),
            },
            PairingError::Unavailable => Self::MethodUnavailable,
            PairingError::Superseded => Self::NotReady("Another code was asked for meanwhile. Try again.".to_owned()),
            PairingError::Engine(error) => {
                tracing::warn!(
                    error = &*error as &dyn std::error::Error,
                    "A pairing code could not be asked for"
                );
                Self::NotReady("WhatsApp gave no code. Try again.".to_owned())
            }
        }
    }
}

impl From<PasskeyError> for ApiError {
    fn from(error: PasskeyError) -> Self {
        match error {
            PasskeyError::NotAsked => Self::PasskeyNotAsked,
            PasskeyError::Refused(error) => {
                tracing::info!(
                    error = &*error as &dyn std::error::Error,
                    "WhatsApp did not accept a passkey's answer"
                );
                Self::PasskeyRefused
            }
        }
    }
}

impl From<IdempotencyError> for ApiError {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::InProgress => Self::IdempotencyInProgress,
            IdempotencyError::Mismatch => Self::IdempotencyMismatch,
            IdempotencyError::SecretShown => Self::SecretAlreadyShown,
            IdempotencyError::Render(error) => Self::Internal(error),
        }
    }
}

/// Every input of credentials has them, and their passphrase, in the same fields.
impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        let field = match error {
            VaultError::PassphraseMissing | VaultError::PassphraseWrong => "/passphrase",
            _ => "/data",
        };
        Self::invalid_field(field, error.code(), sentence(&error))
    }
}

/// Why a session string was not kept where the export wanted it.
pub(super) fn kept(error: PlaceError) -> ApiError {
    match error {
        PlaceError::NotConfigured => ApiError::invalid_field(
            "/destination",
            "not_configured",
            "The operator of this server did not turn this place on.",
        ),
        PlaceError::Storage(error) => error.into(),
        error => place_failed(error, "The session string was not kept"),
    }
}

/// Why credentials that a request only names could not be had.
pub(super) fn fetched(error: PlaceError) -> ApiError {
    match error {
        PlaceError::Storage(error) => error.into(),
        PlaceError::Busy => ApiError::NotReady(sentence(&error)),
        error if error.is_of_the_name() => {
            ApiError::invalid_field("/data", VaultError::NotFetched.code(), sentence(&error))
        }
        error => place_failed(error, "The credentials could not be fetched"),
    }
}

fn place_failed(error: PlaceError, what: &str) -> ApiError {
    ApiError::PlaceFailed {
        detail: format!("{what}: {error}."),
        cause: error.into(),
    }
}

/// With a capital letter and a full stop.
fn sentence(error: &impl std::error::Error) -> String {
    let mut sentence = error.to_string();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence.push('.');
    sentence
}

pub(crate) fn metadata_too_large() -> ApiError {
    ApiError::invalid_field("/metadata", "too_large", "Must be an object of at most 16 KiB.")
}
