//! Why a call on a session came to nothing.

use wharf_model::{CloseReason, PacingError};
use wharf_storage::StorageError;
use wharf_storage::usage::SessionQuotaReached;

use crate::port::{ClientError, PairingError, PasskeyError};
use crate::sessions::InUse;

/// What can be wrong with a call on a session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The workspace has no such session.
    #[error("no such session")]
    NotFound,
    /// There is no QR to show now.
    #[error("the session does not wait for a QR to be scanned")]
    NotPending,
    /// The session is linked: there is nothing to pair.
    #[error("the session is linked already")]
    AlreadyLinked,
    /// WhatsApp gives no pairing code.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// Nothing is asked of a passkey, or its answer was refused.
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    /// The connection ended before it could be linked, or never came about.
    #[error("the session could not be brought to where it can be linked: {}", .0.sentence())]
    NotLinkable(CloseReason),
    /// The name is empty or longer than [`crate::sessions::MAX_NAME`].
    #[error("a session's name has 1 to 100 characters")]
    Name,
    /// The metadata is larger than [`crate::sessions::MAX_METADATA`].
    #[error("metadata is an object of at most 16 KiB")]
    Metadata,
    /// The pacing contradicts itself.
    #[error(transparent)]
    Pacing(#[from] PacingError),
    /// The idempotency key was used with another request, or is being used right now.
    #[error(transparent)]
    Idempotency(#[from] crate::IdempotencyError),
    /// The session is connected, or on its way there.
    #[error("the session is not at rest")]
    NotAtRest,
    /// A session of this server is linked with these credentials.
    #[error(transparent)]
    InUse(#[from] InUse),
    /// Whoever makes it has as many as he may.
    #[error(transparent)]
    Quota(#[from] SessionQuotaReached),
    /// The session has no credentials that could go anywhere.
    #[error("the session is not linked to an account")]
    NotLinked,
    /// Its credentials are on their way to another program.
    #[error("the session's credentials are being moved")]
    Moving,
    /// No move was begun.
    #[error("the session's credentials are not being moved")]
    NotMoving,
    /// Credentials that passed every check cannot be brought into the engine's form.
    #[error("the credentials could not be converted")]
    NotConverted(#[source] crate::BoxError),
    /// The process is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The protocol client could not be built.
    #[error("the session could not be started")]
    Client(#[source] ClientError),
    /// The actor ended before it answered; the supervisor starts it again.
    #[error("the session is being restarted")]
    Restarting,
    /// The order was carried out and could not be stored; it is stored as soon as that is possible.
    #[error("the session's new state could not be stored yet")]
    NotStored,
    /// The device was unlinked and its keys could not be shredded; it is tried again.
    #[error("the session's keys could not be shredded yet")]
    NotShredded,
    /// The database failed, or a cursor was wrong.
    #[error("storage failed")]
    Storage(#[source] StorageError),
}

impl From<StorageError> for SessionError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound(_) => Self::NotFound,
            other => match (other.rejection::<InUse>(), other.rejection::<SessionQuotaReached>()) {
                (Some(in_use), _) => Self::InUse(*in_use),
                (None, Some(reached)) => Self::Quota(*reached),
                (None, None) => Self::Storage(other),
            },
        }
    }
}

impl From<ClientError> for SessionError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
