//! `POST /api/otp/{id}/cancel`

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wharf_model::VerificationId;
use wharf_otp::Found;

use super::body::VerificationBody;
use super::get::seen_by;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody};
use crate::idempotency::{Answer, Keep, Once};
use crate::scope::SendCodes;
use crate::state::ApiState;
use crate::wire::{Nothing, VerificationIdText};

/// Take a verification back
///
/// Its code, or the text that was asked for, stops working. One that was taken back already stays so; one that ended
/// otherwise is a problem.
#[utoipa::path(post, path = "/api/otp/{id}/cancel", tag = "One-time passwords",
    security(("bearer" = ["otp:send"])),
    params(("id" = VerificationIdText, Path, description = "The verification")),
    responses((status = 200, description = "The verification, cancelled", body = VerificationBody),
        (status = 409, description = "The code was used already"),
        (status = 410, description = "The verification has expired or is out of attempts")))]
pub(crate) async fn cancel_verification(
    caller: Allowed<SendCodes>,
    State(state): State<ApiState>,
    Id(id): Id<VerificationId>,
    once: Once,
    request: OptionalBody<Nothing>,
) -> Result<Response, ApiError> {
    let found = seen_by(&caller, &state, id).await?;
    let (verifications, workspace) = (state.verifications.clone(), caller.workspace());
    let effect = async move {
        let cancelled: VerificationBody = match found {
            Found::Send(_) => verifications.cancel(workspace, id).await?.into(),
            Found::Receive(_) => verifications.cancel_reception(workspace, id).await?.into(),
        };
        Answer::json(StatusCode::OK, &cancelled)
    };
    once.run(&state, &caller, &request.raw, Keep::Answer, effect).await
}
