//! Ids in paths. What is not an id of the kind cannot name anything: 404, as for one that names nothing.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use wharf_model::{ApiKeyId, MessageId, PlanId, SessionId, VerificationId};

use crate::error::ApiError;
use crate::state::ApiState;

/// An id that stands in paths.
pub(crate) trait PathId: FromStr + Send {
    /// What is said when there is none such.
    const NOT_FOUND: fn() -> ApiError;
}

impl PathId for SessionId {
    const NOT_FOUND: fn() -> ApiError = || ApiError::SessionNotFound;
}

impl PathId for MessageId {
    const NOT_FOUND: fn() -> ApiError = || ApiError::MessageNotFound;
}

impl PathId for ApiKeyId {
    const NOT_FOUND: fn() -> ApiError = || ApiError::ApiKeyNotFound;
}

impl PathId for PlanId {
    const NOT_FOUND: fn() -> ApiError = || ApiError::PlanNotFound;
}

impl PathId for VerificationId {
    const NOT_FOUND: fn() -> ApiError = || ApiError::OtpNotFound;
}

/// The id of the path's only parameter.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: PathId> FromRequestParts<ApiState> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| T::NOT_FOUND())?;
        text.parse().map(Self).map_err(|_| T::NOT_FOUND())
    }
}
