//! What the facade's refusals of a message mean to a client.

use wharf_session::AcceptError;

use crate::error::ApiError;
use crate::sessions::metadata_too_large;

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        let invalid = Self::invalid_field;
        match error {
            AcceptError::NoSession => Self::SessionNotFound,
            AcceptError::EmptyText => invalid("/text/body", "invalid_length", "Must not be empty."),
            AcceptError::TextTooLong => invalid("/text/body", "invalid_length", "Must have at most 65536 characters."),
            AcceptError::Unsendable => invalid("/type", "unknown_value", "This kind of content cannot be sent."),
            AcceptError::SendAt => invalid("/send_at", "out_of_range", "Must be at most a year away."),
            AcceptError::ExpiresIn => invalid("/expires_in", "out_of_range", "Must be 1 second to 366 days."),
            AcceptError::Metadata => metadata_too_large(),
            AcceptError::Idempotency(error) => error.into(),
            AcceptError::Quota(quota) => Self::QuotaExceeded(quota),
            AcceptError::Stopping => Self::NotReady("The server is stopping.".to_owned()),
            AcceptError::Storage(error) => error.into(),
        }
    }
}

/// Where a message was asked for, "not found" is the message.
pub(super) fn of_message(error: wharf_session::SessionError) -> ApiError {
    match error {
        wharf_session::SessionError::NotFound => ApiError::MessageNotFound,
        other => other.into(),
    }
}
