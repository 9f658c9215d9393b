//! `POST /api/otp/unlock`

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{is_phone, phone};
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Valid;
use crate::idempotency::{Answer, Keep, Once};
use crate::scope::Administer;
use crate::state::ApiState;

/// A phone that is to have codes again.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+15551234567"}))]
pub(crate) struct UnlockOtp {
    /// A number with its country code.
    #[garde(custom(is_phone))]
    #[schema(min_length = 1, max_length = 32, pattern = "^[^\\u0000]*$", example = "+15551234567")]
    phone: String,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnlockedPhone)]
pub(crate) struct UnlockedBody {
    phone: String,
    /// Whether wrong codes were counted for it.
    unlocked: bool,
}

/// Unlock a phone
///
/// Begins the count of wrong codes anew: a phone for which too many came in a row (`otp_locked`) has codes again.
#[utoipa::path(post, path = "/api/otp/unlock", tag = "One-time passwords", security(("bearer" = ["admin"])),
    request_body = UnlockOtp,
    responses((status = 200, description = "The phone may have codes", body = UnlockedBody)))]
pub(crate) async fn unlock_phone(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<UnlockOtp>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    let (verifications, workspace, phone) = (state.verifications.clone(), caller.workspace(), phone(&body.phone)?);
    let effect = async move {
        let unlocked = verifications.unlock(workspace, &phone).await?;
        let phone = phone.to_string();
        Answer::json(StatusCode::OK, &UnlockedBody { phone, unlocked })
    };
    once.run(&state, &caller, &raw, Keep::Answer, effect).await
}
