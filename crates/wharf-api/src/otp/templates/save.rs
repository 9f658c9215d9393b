//! `PUT /api/otp/templates/{template}/{locale}`

use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::TextPath;
use super::body::TextBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Valid;
use crate::rules;
use crate::scope::Administer;
use crate::state::ApiState;

/// A text of your own.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"body": "Your code for Example:\n{{code}}\nGood for {{minutes}} minutes."}))]
pub(crate) struct SaveOtpTemplate {
    /// What it says. `{{code}}` must stand in it once, alone on a line, where phones offer to copy it; `{{minutes}}` says how
    /// long it can be used. There are no other placeholders.
    #[garde(custom(rules::text(1, 1024)))]
    #[schema(min_length = 1, max_length = 1024, pattern = "^[^\\u0000]*$")]
    body: String,
}

/// Save a text of your own
///
/// In the place of the one that has this name and language. `default` takes the place of what is shipped. A send looks for the
/// text of its `template` in its `locale`, in the language of that without a region, and in the configured language.
#[utoipa::path(put, path = "/api/otp/templates/{template}/{locale}", tag = "One-time passwords",
    security(("bearer" = ["admin"])),
    params(
        ("template" = String, Path, description = "The name", min_length = 1, max_length = 40,
            pattern = "^[a-z0-9_-]+$", example = "default"),
        ("locale" = String, Path, description = "The language: a BCP 47 tag", min_length = 2, max_length = 16,
            pattern = "^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*$",
            example = "pt-BR")),
    request_body = SaveOtpTemplate,
    responses((status = 200, description = "The text", body = TextBody),
        (status = 409, description = "There are as many texts as may be")))]
pub(crate) async fn save_otp_template(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    path: TextPath,
    Valid { body, .. }: Valid<SaveOtpTemplate>,
) -> Result<Json<TextBody>, ApiError> {
    let name = (path.template.as_str(), path.locale.as_str());
    let saved = state
        .verifications
        .save_text(caller.workspace(), name, &body.body, caller.requester());
    Ok(Json(saved.await?.into()))
}
