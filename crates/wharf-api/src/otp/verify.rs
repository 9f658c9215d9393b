//! `POST /api/otp/verify`

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_otp::{CheckCode, VerificationView, Which};
use wharf_session::Outcome;

use super::body::{ApprovalBody, is_code, is_name, is_phone, phone};
use crate::auth::{Allowed, Caller};
use crate::error::ApiError;
use crate::extract::Valid;
use crate::idempotency::{Answer, Once};
use crate::scope::{Scope, VerifyCodes};
use crate::state::ApiState;
use crate::wire::VerificationIdText;

/// A code to be checked: by the id of its verification, or by its phone and purpose.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": "otp_06bkrxzq3sx4h7e0p9c2d5t8vw", "code": "004217"}))]
pub(crate) struct VerifyOtp {
    /// The verification. Either this or `phone`.
    #[garde(skip)]
    id: Option<VerificationIdText>,
    /// The phone that the code was sent to. Needs the scope `otp:verify_by_phone`.
    #[garde(inner(custom(is_phone)))]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "+15551234567")]
    phone: Option<String>,
    /// Beside `phone`: what the code is for; without it `verify`.
    #[garde(inner(custom(is_name)))]
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9_-]*$", example = "login")]
    purpose: Option<String>,
    /// The digits, zeros in front included.
    #[garde(custom(is_code))]
    #[schema(value_type = String, min_length = 6, max_length = 10, pattern = "^[0-9]*$", example = "004217")]
    code: SecretString,
}

impl VerifyOtp {
    /// What the facade is asked for.
    fn wanted(self, caller: &Caller) -> Result<CheckCode, ApiError> {
        let which = self.which()?;
        if matches!(which, Which::Phone { .. }) {
            caller.require(Scope::OtpVerifyByPhone)?;
        }
        Ok(CheckCode {
            which,
            code: self.code.expose_secret().to_owned(),
            allowed: caller.allowed_sessions(),
            key: caller.key_id(),
        })
    }

    fn which(&self) -> Result<Which, ApiError> {
        match (self.id, self.phone.as_deref()) {
            (Some(_), Some(_)) => Err(contradiction("/phone", "Send either id or phone.")),
            (Some(_), None) if self.purpose.is_some() => Err(contradiction("/purpose", "Goes with phone only.")),
            (Some(VerificationIdText(id)), None) => Ok(Which::Id(id)),
            (None, Some(text)) => Ok(Which::Phone {
                phone: phone(text)?,
                purpose: self.purpose.clone(),
            }),
            (None, None) => Err(ApiError::invalid_field("/id", "required", "Send either id or phone.")),
        }
    }
}

fn contradiction(pointer: &str, detail: &str) -> ApiError {
    ApiError::invalid_field(pointer, "contradiction", detail)
}

/// Check a code
///
/// Answers with success for the right code only, and once; whatever else becomes of a check is a problem, which says
/// where the verification stands. The same `Idempotency-Key` repeats an approval for 60 seconds. By phone it needs the
/// scope `otp:verify_by_phone` as well.
#[utoipa::path(post, path = "/api/otp/verify", tag = "One-time passwords",
    security(("bearer" = ["otp:verify"])), request_body = VerifyOtp,
    responses((status = 200, description = "The code was right", body = ApprovalBody),
        (status = 404, description = "No such verification"),
        (status = 409, description = "The code was used already"),
        (status = 410, description = "The verification has expired, is out of attempts, or was cancelled"),
        (status = 422, description = "The code is wrong")))]
pub(crate) async fn verify_code(
    caller: Allowed<VerifyCodes>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<VerifyOtp>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    let check = body.wanted(&caller)?;
    let (verifications, workspace) = (&state.verifications, caller.workspace());
    // What is stored to know a repeat by must not be a plain hash of the digits: there are too few of them.
    let keys = state.storage.workspace_keys(workspace).await?;
    let known_by = keys.blind("otp check", &String::from_utf8_lossy(&raw));
    let idempotent = once.with_effect(workspace, known_by.as_bytes(), |approved: &VerificationView| {
        Answer::json(StatusCode::OK, &ApprovalBody::from(approved.clone()))
    });
    match verifications.check(workspace, check, idempotent).await? {
        Outcome::New(approved) => Ok(Answer::json(StatusCode::OK, &ApprovalBody::from(approved))?.into_response()),
        Outcome::Replayed(stored) => Ok(Answer::from_stored(&stored)?.replayed()),
    }
}
