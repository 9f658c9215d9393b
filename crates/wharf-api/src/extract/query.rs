//! Query strings.

use axum::extract::{FromRequestParts, Query};
use garde::Validate;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::faults;
use crate::error::{ApiError, FieldProblem};
use crate::state::ApiState;

/// A query that was read and whose rules hold.
#[derive(Debug)]
pub(crate) struct ValidQuery<T>(pub(crate) T);

impl<T> FromRequestParts<ApiState> for ValidQuery<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let Query(query) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| {
                let detail = rejection.body_text();
                let detail = detail
                    .rsplit_once("query string: ")
                    .map_or(detail.as_str(), |(_, reason)| reason);
                ApiError::InvalidQuery(vec![FieldProblem::new("", "invalid_value", detail)])
            })?;
        query.validate().map_err(|report| match faults::of_report(&report) {
            ApiError::ValidationFailed(fields) => ApiError::InvalidQuery(fields),
            other => other,
        })?;
        Ok(Self(query))
    }
}
