//! `DELETE /api/otp/templates/{template}/{locale}`

use axum::extract::State;
use http::StatusCode;

use super::TextPath;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::scope::Administer;
use crate::state::ApiState;

/// Delete a text of your own
///
/// A send does without it from then on; what is shipped stays.
#[utoipa::path(delete, path = "/api/otp/templates/{template}/{locale}", tag = "One-time passwords",
    security(("bearer" = ["admin"])),
    params(("template" = String, Path, description = "The name", example = "default"),
        ("locale" = String, Path, description = "The language: a BCP 47 tag", example = "pt-BR")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete_otp_template(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    path: TextPath,
) -> Result<StatusCode, ApiError> {
    let name = (path.template.as_str(), path.locale.as_str());
    let deleted = state
        .verifications
        .delete_text(caller.workspace(), name, caller.requester());
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
