//! `GET /api/otp/{id}`

use axum::Json;
use axum::extract::State;
use wharf_model::VerificationId;
use wharf_otp::Found;

use super::body::VerificationBody;
use crate::auth::{Allowed, Caller};
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::ReadCodes;
use crate::state::ApiState;
use crate::wire::VerificationIdText;

/// What an id names, where the caller may know of it.
pub(super) async fn seen_by(caller: &Caller, state: &ApiState, id: VerificationId) -> Result<Found, ApiError> {
    let found = state.verifications.find(caller.workspace(), id).await?;
    if found.is_for(caller.allowed_sessions().as_deref(), caller.key_id()) {
        Ok(found)
    } else {
        Err(ApiError::OtpNotFound)
    }
}

/// Get a verification
///
/// With its messages and the results of its checks, also after its end: until 24 hours after its last message was asked
/// for, where the operator sets no other time. One of `POST /api/otp/receive` (`kind` is `receive`) shows the number that sent
/// the text, and can be read for as long.
#[utoipa::path(get, path = "/api/otp/{id}", tag = "One-time passwords", security(("bearer" = ["otp:read"])),
    params(("id" = VerificationIdText, Path, description = "The verification")),
    responses((status = 200, description = "The verification", body = VerificationBody)))]
pub(crate) async fn get_verification(
    caller: Allowed<ReadCodes>,
    State(state): State<ApiState>,
    Id(id): Id<VerificationId>,
) -> Result<Json<VerificationBody>, ApiError> {
    let found = seen_by(&caller, &state, id).await?;
    Ok(Json(VerificationBody::whole(found)))
}
