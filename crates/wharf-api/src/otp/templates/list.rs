//! `GET /api/otp/templates`

use axum::Json;
use axum::extract::State;

use super::body::TextBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::scope::ReadCodes;
use crate::state::ApiState;
use crate::wire::List;

/// List the texts
///
/// Your own by name and language, then the shipped ones, also those that one of yours takes the place of. All at once:
/// `next_cursor` is null.
#[utoipa::path(get, path = "/api/otp/templates", tag = "One-time passwords", security(("bearer" = ["otp:read"])),
    responses((status = 200, description = "The texts", body = List<TextBody>)))]
pub(crate) async fn list_otp_templates(
    caller: Allowed<ReadCodes>,
    State(state): State<ApiState>,
) -> Result<Json<List<TextBody>>, ApiError> {
    let texts = state.verifications.texts(caller.workspace()).await?;
    Ok(Json(List {
        data: texts.into_iter().map(TextBody::from).collect(),
        next_cursor: None,
    }))
}
