//! Errors of the control API as `application/problem+json`.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::SandboxError;

#[derive(Debug)]
pub(super) struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
}

/// An error (RFC 9457). `code` is stable.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'p> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'p str,
    code: &'static str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        let mut response = (self.status, Json(body)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl From<SandboxError> for Problem {
    fn from(failure: SandboxError) -> Self {
        Self {
            status: status(&failure),
            code: failure.code(),
            detail: failure.to_string(),
        }
    }
}

/// No `_` arm: a new error must choose.
fn status(failure: &SandboxError) -> StatusCode {
    match failure {
        SandboxError::UnknownPhone(_)
        | SandboxError::UnknownDevice { .. }
        | SandboxError::UnknownChat { .. }
        | SandboxError::UnknownGroup(_)
        | SandboxError::UnknownMessage { .. }
        | SandboxError::NoFile
        | SandboxError::UnknownFault(_) => StatusCode::NOT_FOUND,
        SandboxError::PhoneTaken(_)
        | SandboxError::UnknownQr
        | SandboxError::NoLinkingCode(_)
        | SandboxError::NoPasskey(_)
        | SandboxError::PhoneOffline(_)
        | SandboxError::TooManyDevices(_)
        | SandboxError::LinkRefused(_)
        | SandboxError::TooManyFaults
        | SandboxError::StanzaLogOff => StatusCode::CONFLICT,
        SandboxError::InvalidPhone(_)
        | SandboxError::InvalidName
        | SandboxError::InvalidQr
        | SandboxError::ForeignQr
        | SandboxError::InvalidLinkingCode
        | SandboxError::WrongLinkingCode
        | SandboxError::UnknownRecipient(_)
        | SandboxError::InvalidBan
        | SandboxError::InvalidMessage(_)
        | SandboxError::InvalidRules
        | SandboxError::InvalidHistory
        | SandboxError::NotSigned(_)
        | SandboxError::InvalidDirt
        | SandboxError::InvalidFault(_)
        | SandboxError::InvalidText
        | SandboxError::InvalidFile
        | SandboxError::BrokenFile(_) => StatusCode::UNPROCESSABLE_ENTITY,
        SandboxError::FileExpired => StatusCode::GONE,
        SandboxError::NotAllowed(_) => StatusCode::FORBIDDEN,
        SandboxError::LinkTimeout | SandboxError::WaitTimeout => StatusCode::GATEWAY_TIMEOUT,
        SandboxError::NotKept => StatusCode::SERVICE_UNAVAILABLE,
        SandboxError::NotLoopback(_)
        | SandboxError::Listen { .. }
        | SandboxError::Store(_)
        | SandboxError::Crypto(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A JSON body whose faults become problems.
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Problem))]
pub(super) struct Body<T>(pub T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "not_json",
            StatusCode::UNPROCESSABLE_ENTITY => "invalid_body",
            _ => "malformed_body",
        };
        Self {
            status: rejection.status(),
            code,
            detail: rejection.body_text(),
        }
    }
}

/// Path parameters whose faults become problems.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(super) struct Path<T>(pub T);

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "not_found",
            detail: rejection.body_text(),
        }
    }
}

/// Query parameters whose faults become problems.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(super) struct Query<T>(pub T);

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid_query",
            detail: rejection.body_text(),
        }
    }
}

pub(super) async fn no_such_call() -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        code: "not_found",
        detail: "there is no such call".to_owned(),
    }
}

pub(super) async fn no_such_method() -> Problem {
    let detail = "the call exists, but not with this method".to_owned();
    Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "method_not_allowed",
        detail,
    }
}
