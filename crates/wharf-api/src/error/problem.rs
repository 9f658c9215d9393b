//! RFC 9457 documents.

use std::error::Error;
use std::fmt::Write;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::api_error::seconds;
use super::{ApiError, FieldProblem};
use crate::context;
use crate::limit::RateReport;
use crate::wire::whole_seconds;

/// The media type of every error.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What every error looks like (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:wharf:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(format = "uri", example = "urn:wharf:problem:session_not_found")]
    pub kind: String,
    /// The name of the problem, the same at every occurrence.
    #[schema(example = "No such session")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The stable code; the docs list them all.
    #[schema(pattern = "^[a-z_]+$", example = "session_not_found")]
    pub code: String,
    /// The request, as in `X-Request-Id`; the log holds more under it.
    pub request_id: String,
    /// Each invalid field, where fields are the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub errors: Option<Vec<FieldProblem>>,
    /// The verification that the problem is about, in `otp_` problems; the six members below come with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^otp_[0-9a-hjkmnp-tv-z]{26}$")]
    pub verification_id: Option<String>,
    /// How far it has come: `pending`, `approved`, `expired`, `max_attempts_reached` or `cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "pending")]
    pub verification_status: Option<&'static str>,
    /// How many codes may still be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attempts_remaining: Option<u32>,
    /// How many messages may still be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sends_remaining: Option<u32>,
    /// How many seconds until the next message may be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_send_in: Option<u64>,
    /// How many seconds until the next code may be tried: always 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_check_in: Option<u64>,
    /// How many seconds the code can still be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires_in: Option<u64>,
}

impl Problem {
    fn of(error: &ApiError, request_id: String) -> Self {
        let entry = error.code().entry();
        let standing = error.standing();
        Self {
            kind: format!("urn:wharf:problem:{}", entry.code),
            title: entry.title.to_owned(),
            status: entry.status.as_u16(),
            detail: error.to_string(),
            code: entry.code.to_owned(),
            request_id,
            errors: error.fields().map(<[FieldProblem]>::to_vec),
            verification_id: standing.map(|standing| standing.id.to_string()),
            verification_status: standing.map(|standing| standing.status.as_str()),
            attempts_remaining: standing.map(|standing| standing.attempts_remaining),
            sends_remaining: standing.map(|standing| standing.sends_remaining),
            next_send_in: standing.map(|standing| whole_seconds(standing.next_send_in)),
            next_check_in: standing.map(|_| 0),
            expires_in: standing.map(|standing| whole_seconds(standing.expires_in)),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let request_id = context::current_request_id();
        if self.status().is_server_error() {
            log(&self, &request_id);
        }
        if let Self::QuotaExceeded(quota) = &self {
            let report = RateReport::of_day(quota.resource.quota(), quota.limit, quota.resets_in);
            context::note_current_rate(report);
        }
        let problem = Problem::of(&self, request_id);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds(&wait)));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wharf\""));
        }
        response
    }
}

fn log(error: &ApiError, request_id: &str) {
    let code = error.code().entry().code;
    tracing::error!(
        request.id = request_id,
        error.code = code,
        error.chain = chain(error),
        "a request failed on our side"
    );
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_causes_is_for_the_log_and_never_for_the_client() {
        let error = ApiError::internal(std::io::Error::other("secret path"));
        assert!(chain(&error).ends_with("secret path"));
        let problem = Problem::of(&error, String::new());
        assert!(!serde_json::to_string(&problem).unwrap().contains("secret path"));
    }
}
