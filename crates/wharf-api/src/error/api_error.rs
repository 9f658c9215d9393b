//! The one error that handlers and extractors answer with.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use wharf_model::{CloseReason, MessageStatus, SessionId};
use wharf_otp::{Country, LimitPolicy, Standing};
use wharf_storage::usage::{QuotaExceeded, SessionQuotaReached};

use super::{ErrorCode, FieldProblem};
use crate::scope::Scope;

/// A cause that only the log may see.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Everything that a call can be refused for. `Display` is the `detail` that the client reads; sources are private.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is no JSON.
    #[error("The body stops being JSON at line {line}, column {column}.")]
    MalformedJson {
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
    /// A header or the transfer is broken.
    #[error("{0}")]
    MalformedRequest(&'static str),
    /// Query parameters that cannot be used.
    #[error("{}", count(.0, "query parameter"))]
    InvalidQuery(Vec<FieldProblem>),
    /// A cursor of another list, or none at all.
    #[error("The cursor was not given by this list.")]
    InvalidCursor,
    /// An event cursor from before a restore.
    #[error("The cursor is from before this server was restored from a backup. Read the events from the start.")]
    CursorExpired,
    /// An idempotency key that cannot be used.
    #[error("Idempotency-Key must be sent once and be 1 to 255 printable ASCII characters.")]
    IdempotencyKeyInvalid,
    /// No credentials at all.
    #[error("Send an API key as `Authorization: Bearer <key>` or `X-Api-Key: <key>`.")]
    Unauthenticated,
    /// Refused by its checksum.
    #[error("The API key is cut or mistyped.")]
    ApiKeyMalformed,
    /// A test key in a release build, or the reverse.
    #[error("The API key belongs to the other network.")]
    ApiKeyWrongNetwork,
    /// Well-formed and not ours.
    #[error("The API key is not known here.")]
    ApiKeyUnknown,
    /// Revoked.
    #[error("The API key was revoked.")]
    ApiKeyRevoked,
    /// Past its expiry.
    #[error("The API key has expired.")]
    ApiKeyExpired,
    /// A text that was replaced, and whose overlap is over.
    #[error("The API key was rotated, and the time of its old text is over.")]
    ApiKeyRotated,
    /// The caller lacks a scope.
    #[error("This needs the scope `{0}`.")]
    InsufficientScope(Scope),
    /// The key's address list does not hold the caller's address.
    #[error("The API key may not be used from this address.")]
    AddressNotAllowed,
    /// The key is limited to named sessions.
    #[error("The API key is limited to named sessions and cannot do this.")]
    KeyRestricted,
    /// A change that another site asked a signed-in browser for.
    #[error("A signed-in page may send changes to its own origin only.")]
    CrossSiteRefused,
    /// No such path.
    #[error("Nothing lives at this path.")]
    RouteNotFound,
    /// No such session in this workspace.
    #[error("No session of this workspace has this id.")]
    SessionNotFound,
    /// No such message in this workspace.
    #[error("No message of this workspace has this id.")]
    MessageNotFound,
    /// No such verification in this workspace.
    #[error("No verification of this workspace has this id, or none is kept for this phone.")]
    OtpNotFound,
    /// No such text of the workspace's own.
    #[error("The workspace has no text of its own with this name and language.")]
    OtpTemplateNotFound,
    /// No string is kept under this id or link.
    #[error("No session string is kept under this id or link, or not any more.")]
    KeptStringNotFound,
    /// No such key in this workspace.
    #[error("No API key of this workspace has this id.")]
    ApiKeyNotFound,
    /// No such plan in this workspace.
    #[error("No plan of this workspace has this id.")]
    PlanNotFound,
    /// The path takes other methods.
    #[error("The path does not take this method.")]
    MethodNotAllowed,
    /// The answer exists in other media types.
    #[error("The answer exists as {}.", .0.join(", "))]
    NotAcceptable(&'static [&'static str]),
    /// There is no QR to show.
    #[error("The session shows no QR now.")]
    NotPending,
    /// The session's proxy is in the way.
    #[error("{}", .0.sentence())]
    ProxyFailed(CloseReason),
    /// A place for session strings did not do what was asked of it.
    #[error("{detail}")]
    PlaceFailed {
        /// One sentence.
        detail: String,
        /// What it said, for the log.
        #[source]
        cause: Cause,
    },
    /// No passkey is to sign, and no code is to be compared.
    #[error("Nothing is asked of a passkey now.")]
    PasskeyNotAsked,
    /// WhatsApp did not take what a passkey signed.
    #[error("WhatsApp did not accept the passkey's answer. Connect again for a new challenge.")]
    PasskeyRefused,
    /// Its keys go on moving.
    #[error("The session is connected; disconnect it first.")]
    NotAtRest,
    /// There are no credentials.
    #[error("The session is not linked to an account.")]
    NotLinked,
    /// Its credentials are on their way.
    #[error("The session is being moved; `export/confirm` ends that, `export/cancel` takes it back.")]
    SessionMoving,
    /// Its credentials are not on their way.
    #[error("The session is not being moved.")]
    NotMoving,
    /// Another session is linked with these credentials; named, unless it belongs to another workspace.
    #[error("{}", in_use(.0.as_ref()))]
    CredentialsInUse(Option<SessionId>),
    /// The message has left, or ended.
    #[error("The message is {0} and can no longer be cancelled.")]
    MessageNotCancellable(MessageStatus),
    /// Nobody can send the code.
    #[error("The session is not connected, or none is that could send the code.")]
    SessionUnavailable,
    /// Codes may not go to the phone's country.
    #[error("No codes are sent to {}.", country_name(.0.as_ref()))]
    OtpCountryNotAllowed(Option<Country>),
    /// Too many wrong codes came for the phone.
    #[error("Too many wrong codes came in a row for this phone; it gets none until somebody unlocks it.")]
    OtpLocked,
    /// The code was used before.
    #[error("The code was used already.")]
    OtpAlreadyUsed(Standing),
    /// The code's time is over.
    #[error("The code has expired; send a new one.")]
    OtpExpired(Standing),
    /// Too many codes were tried.
    #[error("No attempts are left; send a new code.")]
    OtpAttemptsExhausted(Standing),
    /// The verification was taken back.
    #[error("The verification was cancelled; send a new code.")]
    OtpCancelled(Standing),
    /// Another code was sent.
    #[error("The code is not the one that was sent. Attempts left: {}.", .0.attempts_remaining)]
    OtpIncorrect(Standing),
    /// The code before has only just been sent.
    #[error("The next code may be asked for in {} s.", seconds(&.0.next_send_in))]
    OtpResendTooSoon(Standing),
    /// All messages of the verification were sent.
    #[error("The verification has sent all its messages; it ends in {} s.", seconds(&.0.expires_in))]
    OtpMaxSendsReached(Standing),
    /// A limit on codes is used up.
    #[error("Too many codes: the limit `{}` is used up; try again in {} s.", .policy.as_str(), seconds(.retry_after))]
    OtpRateLimited {
        /// Which limit.
        policy: LimitPolicy,
        /// How long to wait.
        retry_after: Duration,
    },
    /// Codes that hardly anybody uses.
    #[error("Hardly any code to neighbouring phones was used; try again in {} s.", seconds(.retry_after))]
    OtpBlocked {
        /// How long to wait.
        retry_after: Duration,
    },
    /// A key that opens nothing any more gets no new text.
    #[error("The API key was revoked or has expired.")]
    ApiKeyInactive,
    /// A key that works carries the plan.
    #[error("An API key carries the plan. Give it another one, or revoke it.")]
    PlanInUse,
    /// The key has made as many sessions as it may.
    #[error("The plan of this API key allows {} sessions, and as many exist.", .0.limit)]
    SessionQuotaReached(SessionQuotaReached),
    /// There is no room for another text.
    #[error("The workspace has as many texts of its own as it may; delete one first.")]
    OtpTooManyTemplates,
    /// A unique value is taken.
    #[error("Something with the same unique value exists already.")]
    Conflict,
    /// The first call with this key runs still.
    #[error("The first call with this idempotency key has not ended.")]
    IdempotencyInProgress,
    /// The first answer held a secret and is not repeated.
    #[error("The first call with this idempotency key succeeded; its secret is shown only once.")]
    SecretAlreadyShown,
    /// Too many bytes.
    #[error("The body is larger than {limit} bytes.")]
    BodyTooLarge {
        /// How many are taken.
        limit: usize,
    },
    /// Not JSON by its own word.
    #[error("Send the body as application/json.")]
    UnsupportedMediaType,
    /// Fields that cannot be used.
    #[error("{}", count(.0, "field"))]
    ValidationFailed(Vec<FieldProblem>),
    /// The idempotency key came with another request before.
    #[error("This idempotency key came with another path or body before.")]
    IdempotencyMismatch,
    /// A link method that the account cannot use.
    #[error("WhatsApp does not let this account be linked by code; use method `qr`.")]
    MethodUnavailable,
    /// There is an account already.
    #[error("The session is linked already.")]
    AlreadyLinked,
    /// WhatsApp gives no code for the number.
    #[error("WhatsApp gives no code for this number: it has no account, or codes were asked for too often.")]
    PairingRefused,
    /// WhatsApp gives no code for a while.
    #[error("WhatsApp gives no more pairing codes for now; try again in {} s.", seconds(.retry_after))]
    PairingThrottled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The rate is used up.
    #[error("Too many requests; try again in {} s.", seconds(.retry_after))]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The plan allows no more on this day.
    #[error("The quota `{}` of this API key's plan, {} a day, is used up; a new day begins in {} s.", .0.resource.quota(),
        .0.limit, seconds(&.0.resets_in))]
    QuotaExceeded(QuotaExceeded),
    /// Too many wrong keys.
    #[error("Too many failed sign-ins from this address; try again in {} s.", seconds(.retry_after))]
    AuthRateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// A fault of ours.
    #[error("A fault in Wharf; the request id finds it in the log.")]
    Internal(#[source] Cause),
    /// No room.
    #[error("The server has no room to store this. Nothing was changed.")]
    StorageFull(#[source] Cause),
    /// No writes.
    #[error("The server cannot write now. Nothing was changed.")]
    StorageUnavailable(#[source] Cause),
    /// Done, but not durable yet.
    #[error("{0}")]
    NotStored(&'static str),
    /// Cannot serve.
    #[error("{0}")]
    NotReady(String),
    /// Took too long.
    #[error("The request took longer than {} s.", .0.as_secs())]
    RequestTimeout(Duration),
}

/// The header counts whole seconds, and zero would invite to try at once.
pub(crate) fn seconds(wait: &Duration) -> u64 {
    wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

fn in_use(by: Option<&SessionId>) -> String {
    let by = by.map_or_else(
        || "a session of another workspace".to_owned(),
        |id| format!("the session {id}"),
    );
    format!("These credentials are in use by {by}.")
}

fn country_name(country: Option<&Country>) -> &str {
    country.map_or("phones whose country is not known", Country::as_str)
}

fn count(problems: &[FieldProblem], what: &str) -> String {
    match problems {
        [one] => format!("1 {what} is invalid: {}", one.detail),
        many => format!("{} {what}s are invalid.", many.len()),
    }
}

impl ApiError {
    /// A fault of ours with its cause.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// One invalid field.
    pub fn invalid_field(pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        Self::ValidationFailed(vec![FieldProblem::new(pointer, code, detail)])
    }

    /// Its stable code. No `_` arm: a new variant must choose.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::MalformedJson { .. } => ErrorCode::MalformedJson,
            Self::MalformedRequest(_) => ErrorCode::MalformedRequest,
            Self::InvalidQuery(_) => ErrorCode::InvalidQuery,
            Self::InvalidCursor => ErrorCode::InvalidCursor,
            Self::CursorExpired => ErrorCode::CursorExpired,
            Self::IdempotencyKeyInvalid => ErrorCode::IdempotencyKeyInvalid,
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::ApiKeyMalformed => ErrorCode::ApiKeyMalformed,
            Self::ApiKeyWrongNetwork => ErrorCode::ApiKeyWrongNetwork,
            Self::ApiKeyUnknown => ErrorCode::ApiKeyUnknown,
            Self::ApiKeyRevoked => ErrorCode::ApiKeyRevoked,
            Self::ApiKeyExpired => ErrorCode::ApiKeyExpired,
            Self::ApiKeyRotated => ErrorCode::ApiKeyRotated,
            Self::InsufficientScope(_) => ErrorCode::InsufficientScope,
            Self::AddressNotAllowed => ErrorCode::AddressNotAllowed,
            Self::KeyRestricted => ErrorCode::KeyRestricted,
            Self::CrossSiteRefused => ErrorCode::CrossSiteRefused,
            Self::RouteNotFound => ErrorCode::RouteNotFound,
            Self::SessionNotFound => ErrorCode::SessionNotFound,
            Self::MessageNotFound => ErrorCode::MessageNotFound,
            Self::OtpNotFound => ErrorCode::OtpNotFound,
            Self::OtpTemplateNotFound => ErrorCode::OtpTemplateNotFound,
            Self::KeptStringNotFound => ErrorCode::KeptStringNotFound,
            Self::ApiKeyNotFound => ErrorCode::ApiKeyNotFound,
            Self::PlanNotFound => ErrorCode::PlanNotFound,
            Self::MethodNotAllowed => ErrorCode::MethodNotAllowed,
            Self::NotAcceptable(_) => ErrorCode::NotAcceptable,
            Self::NotPending => ErrorCode::NotPending,
            Self::ProxyFailed(_) => ErrorCode::ProxyFailed,
            Self::PlaceFailed { .. } => ErrorCode::PlaceFailed,
            Self::PasskeyNotAsked => ErrorCode::PasskeyNotAsked,
            Self::PasskeyRefused => ErrorCode::PasskeyRefused,
            Self::NotAtRest => ErrorCode::NotAtRest,
            Self::NotLinked => ErrorCode::NotLinked,
            Self::SessionMoving => ErrorCode::SessionMoving,
            Self::NotMoving => ErrorCode::NotMoving,
            Self::CredentialsInUse(_) => ErrorCode::CredentialsInUse,
            Self::MessageNotCancellable(_) => ErrorCode::MessageNotCancellable,
            Self::SessionUnavailable => ErrorCode::SessionUnavailable,
            Self::OtpCountryNotAllowed(_) => ErrorCode::OtpCountryNotAllowed,
            Self::OtpAlreadyUsed(_) => ErrorCode::OtpAlreadyUsed,
            Self::OtpExpired(_) => ErrorCode::OtpExpired,
            Self::OtpAttemptsExhausted(_) => ErrorCode::OtpAttemptsExhausted,
            Self::OtpCancelled(_) => ErrorCode::OtpCancelled,
            Self::OtpIncorrect(_) => ErrorCode::OtpIncorrect,
            Self::OtpResendTooSoon(_) => ErrorCode::OtpResendTooSoon,
            Self::OtpMaxSendsReached(_) => ErrorCode::OtpMaxSendsReached,
            Self::OtpRateLimited { .. } => ErrorCode::OtpRateLimited,
            Self::OtpBlocked { .. } => ErrorCode::OtpBlocked,
            Self::OtpLocked => ErrorCode::OtpLocked,
            Self::ApiKeyInactive => ErrorCode::ApiKeyInactive,
            Self::PlanInUse => ErrorCode::PlanInUse,
            Self::SessionQuotaReached(_) => ErrorCode::SessionQuotaReached,
            Self::OtpTooManyTemplates => ErrorCode::OtpTooManyTemplates,
            Self::Conflict => ErrorCode::Conflict,
            Self::IdempotencyInProgress => ErrorCode::IdempotencyInProgress,
            Self::SecretAlreadyShown => ErrorCode::SecretAlreadyShown,
            Self::BodyTooLarge { .. } => ErrorCode::BodyTooLarge,
            Self::UnsupportedMediaType => ErrorCode::UnsupportedMediaType,
            Self::ValidationFailed(_) => ErrorCode::ValidationFailed,
            Self::IdempotencyMismatch => ErrorCode::IdempotencyMismatch,
            Self::AlreadyLinked => ErrorCode::AlreadyLinked,
            Self::PairingRefused => ErrorCode::PairingRefused,
            Self::PairingThrottled { .. } => ErrorCode::PairingThrottled,
            Self::MethodUnavailable => ErrorCode::MethodUnavailable,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::QuotaExceeded(_) => ErrorCode::QuotaExceeded,
            Self::AuthRateLimited { .. } => ErrorCode::AuthRateLimited,
            Self::Internal(_) => ErrorCode::Internal,
            Self::StorageFull(_) => ErrorCode::StorageFull,
            Self::StorageUnavailable(_) => ErrorCode::StorageUnavailable,
            Self::NotStored(_) => ErrorCode::NotStored,
            Self::NotReady(_) => ErrorCode::NotReady,
            Self::RequestTimeout(_) => ErrorCode::RequestTimeout,
        }
    }

    /// Its status.
    pub const fn status(&self) -> StatusCode {
        self.code().entry().status
    }

    /// Every code with its status and meaning, for the docs.
    pub fn catalogue() -> Vec<super::CatalogueEntry> {
        super::catalogue()
    }

    /// How long the client should wait, where that is known.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after }
            | Self::AuthRateLimited { retry_after }
            | Self::OtpRateLimited { retry_after, .. }
            | Self::OtpBlocked { retry_after }
            | Self::PairingThrottled { retry_after } => Some(*retry_after),
            Self::QuotaExceeded(quota) => Some(quota.resets_in),
            Self::OtpResendTooSoon(standing) => Some(standing.next_send_in),
            Self::OtpMaxSendsReached(standing) => Some(standing.expires_in),
            Self::IdempotencyInProgress => Some(Duration::from_secs(1)),
            Self::StorageFull(_)
            | Self::StorageUnavailable(_)
            | Self::NotStored(_)
            | Self::NotReady(_)
            | Self::RequestTimeout(_) => Some(Duration::from_secs(5)),
            _ => None,
        }
    }

    /// Where the verification stands that this is about.
    pub(crate) const fn standing(&self) -> Option<&Standing> {
        match self {
            Self::OtpAlreadyUsed(standing)
            | Self::OtpExpired(standing)
            | Self::OtpAttemptsExhausted(standing)
            | Self::OtpCancelled(standing)
            | Self::OtpIncorrect(standing)
            | Self::OtpResendTooSoon(standing)
            | Self::OtpMaxSendsReached(standing) => Some(standing),
            _ => None,
        }
    }

    /// The single faults that the document lists.
    pub(crate) fn fields(&self) -> Option<&[FieldProblem]> {
        match self {
            Self::InvalidQuery(fields) | Self::ValidationFailed(fields) => Some(fields),
            _ => None,
        }
    }
}
