//! What the facade's refusals mean to a client.

use wharf_otp::OtpError;

use crate::error::ApiError;

impl From<OtpError> for ApiError {
    fn from(error: OtpError) -> Self {
        match error {
            OtpError::NotFound => Self::OtpNotFound,
            OtpError::NoSession => Self::SessionNotFound,
            OtpError::NoText => Self::OtpTemplateNotFound,
            OtpError::TooManyTexts => Self::OtpTooManyTemplates,
            OtpError::SessionUnavailable => Self::SessionUnavailable,
            OtpError::Invalid { field, code, detail } => Self::invalid_field(&format!("/{field}"), code, detail),
            OtpError::CountryNotAllowed(country) => Self::OtpCountryNotAllowed(country),
            OtpError::TooSoon(standing) => Self::OtpResendTooSoon(standing),
            OtpError::NoSendsLeft(standing) => Self::OtpMaxSendsReached(standing),
            OtpError::Limited { policy, wait } => Self::OtpRateLimited {
                policy,
                retry_after: wait,
            },
            OtpError::Quota(quota) => Self::QuotaExceeded(quota),
            OtpError::Blocked { wait } => Self::OtpBlocked { retry_after: wait },
            OtpError::Locked => Self::OtpLocked,
            OtpError::Incorrect(standing) => Self::OtpIncorrect(standing),
            OtpError::Used(standing) => Self::OtpAlreadyUsed(standing),
            OtpError::Expired(standing) => Self::OtpExpired(standing),
            OtpError::Exhausted(standing) => Self::OtpAttemptsExhausted(standing),
            OtpError::Cancelled(standing) => Self::OtpCancelled(standing),
            OtpError::Idempotency(error) => error.into(),
            OtpError::Stopping => Self::NotReady("The server is stopping.".to_owned()),
            OtpError::Storage(error) => error.into(),
        }
    }
}
