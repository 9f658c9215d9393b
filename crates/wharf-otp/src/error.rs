//! Why a call came to nothing.

use std::time::Duration;

use wharf_model::{VerificationId, VerificationStatus};
use wharf_storage::StorageError;
use wharf_storage::usage::QuotaExceeded;

use crate::country::{self, Country};

/// Where a verification stands, beside an error about it: what a client needs to go on without constants of its own
/// (OTP-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub id: VerificationId,
    /// How far it has come.
    pub status: VerificationStatus,
    /// How many codes may still be tried.
    pub attempts_remaining: u32,
    /// How many messages may still be asked for.
    pub sends_remaining: u32,
    /// How long until the next message may be asked for.
    pub next_send_in: Duration,
    /// How long the code can still be checked.
    pub expires_in: Duration,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitPolicy {
    /// Sends to one phone in an hour.
    Phone,
    /// Sends to one phone in a day.
    PhoneDaily,
    /// Sends to neighbouring phones.
    Prefix,
    /// Sends for one end user's address.
    Client,
    /// Sends with one API key.
    Key,
    /// Sends through one session.
    Session,
    /// Texts that one session waits for.
    Pending,
}

impl LimitPolicy {
    /// Its stable name, in answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "otp_phone",
            Self::PhoneDaily => "otp_phone_daily",
            Self::Prefix => "otp_prefix",
            Self::Client => "otp_client",
            Self::Key => "otp_key",
            Self::Session => "otp_session",
            Self::Pending => "otp_pending",
        }
    }
}

/// What can be wrong with a call about a verification. Nothing is stored then, but for what a check counts.
#[derive(Debug, thiserror::Error)]
pub enum OtpError {
    /// The workspace has no such verification, or the caller may not know of it.
    #[error("no such verification")]
    NotFound,
    /// The workspace has no such session.
    #[error("no such session")]
    NoSession,
    /// The named session is not connected, or no session is (OTP: a named session never fails over).
    #[error("no session can send the code now")]
    SessionUnavailable,
    /// The workspace has no text of its own with this name and language.
    #[error("no such text")]
    NoText,
    /// The workspace has as many texts of its own as it may.
    #[error("the workspace has as many texts as it may")]
    TooManyTexts,
    /// A field that cannot be used.
    #[error("{field}: {detail}")]
    Invalid {
        /// Its name in the request.
        field: &'static str,
        /// The stable code of the fault.
        code: &'static str,
        /// One sentence.
        detail: String,
    },
    /// Codes may not go to the phone's country, or nobody knows which it is.
    #[error("codes are not sent to {}", country::named(.0.as_ref()))]
    CountryNotAllowed(Option<Country>),
    /// The next message may be asked for later.
    #[error("the next code may be asked for in {} s", .0.next_send_in.as_secs())]
    TooSoon(Standing),
    /// The verification has sent all the messages that it may.
    #[error("the verification has sent all its messages")]
    NoSendsLeft(Standing),
    /// A limit is used up.
    #[error("too many codes ({})", policy.as_str())]
    Limited {
        /// Which one.
        policy: LimitPolicy,
        /// How long until one more is allowed.
        wait: Duration,
    },
    /// The day's quota of the caller's plan is used up.
    #[error(transparent)]
    Quota(QuotaExceeded),
    /// Of the codes to neighbouring phones hardly any was used: somebody makes them be sent to strangers.
    #[error("hardly any code to neighbouring phones was used")]
    Blocked {
        /// How long until this is looked at anew.
        wait: Duration,
    },
    /// Too many wrong codes came in a row for the phone.
    #[error("the phone is locked")]
    Locked,
    /// Another code was sent. The attempt counts.
    #[error("the code is not the one that was sent")]
    Incorrect(Standing),
    /// It was approved before.
    #[error("the code was used already")]
    Used(Standing),
    /// Its time is over.
    #[error("the code has expired")]
    Expired(Standing),
    /// As many codes were tried as may be.
    #[error("no attempts are left")]
    Exhausted(Standing),
    /// It was taken back.
    #[error("the verification was cancelled")]
    Cancelled(Standing),
    /// The idempotency key was used before, or is being used right now.
    #[error(transparent)]
    Idempotency(#[from] wharf_session::IdempotencyError),
    /// The process is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The database failed.
    #[error("storage failed")]
    Storage(#[source] StorageError),
}

impl OtpError {
    /// Why a unit that no limit of codes gave up came to nothing.
    pub(crate) fn of_unit(error: StorageError) -> Self {
        match error.rejection::<QuotaExceeded>() {
            Some(quota) => Self::Quota(*quota),
            None => Self::Storage(error),
        }
    }

    /// What it means that nothing more can come of it.
    pub(crate) const fn over(standing: Standing) -> Self {
        match standing.status {
            VerificationStatus::Approved => Self::Used(standing),
            VerificationStatus::MaxAttemptsReached => Self::Exhausted(standing),
            VerificationStatus::Cancelled => Self::Cancelled(standing),
            // One that is pending goes on, unless its time is over.
            VerificationStatus::Expired | VerificationStatus::Pending => Self::Expired(standing),
        }
    }
}
