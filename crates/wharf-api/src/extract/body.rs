//! JSON bodies.

use axum::Extension;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use bytes::Bytes;
use garde::Validate;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::faults;
use crate::error::ApiError;
use crate::state::ApiState;

/// How large a body may be, for who refuses one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimit(usize);

/// Layers that hold bodies to a limit, in bytes. The innermost ones count.
pub(crate) fn limited(limit: usize) -> (DefaultBodyLimit, Extension<BodyLimit>) {
    (DefaultBodyLimit::max(limit), Extension(BodyLimit(limit)))
}

/// A body that was read and whose rules hold, with the bytes that it was read from (idempotency compares them).
#[derive(Debug)]
pub(crate) struct Valid<T> {
    pub(crate) body: T,
    pub(crate) raw: Bytes,
}

impl<T> FromRequest<ApiState> for Valid<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        require_json(request.headers())?;
        let raw = bytes_of(request, state).await?;
        let body = read(&raw)?;
        Ok(Self { body, raw })
    }
}

/// A body that may be missing: no bytes, or `null`, is the default.
#[derive(Debug)]
pub(crate) struct OptionalBody<T> {
    pub(crate) body: T,
    pub(crate) raw: Bytes,
}

impl<T> FromRequest<ApiState> for OptionalBody<T>
where
    T: DeserializeOwned + Validate<Context = ()> + Default,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let raw = bytes_of(request, state).await?;
        if raw.is_empty() {
            let body = T::default();
            return Ok(Self { body, raw });
        }
        require_json(&headers)?;
        let body = read::<Option<T>>(&raw)?.unwrap_or_default();
        Ok(Self { body, raw })
    }
}

fn read<T: DeserializeOwned + Validate<Context = ()>>(raw: &[u8]) -> Result<T, ApiError> {
    let body: T = faults::parse(raw)?;
    body.validate().map_err(|report| faults::of_report(&report))?;
    Ok(body)
}

async fn bytes_of(request: Request, state: &ApiState) -> Result<Bytes, ApiError> {
    let limit = request.extensions().get::<BodyLimit>().copied();
    let limit = limit.map_or(state.config.max_body_bytes, |BodyLimit(limit)| limit);
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| rejected(&rejection, limit))
}

fn rejected(rejection: &BytesRejection, limit: usize) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge { limit },
        _ => ApiError::MalformedRequest("The body did not arrive whole."),
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType)
    }
}
