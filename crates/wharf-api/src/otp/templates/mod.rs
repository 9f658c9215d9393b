//! Texts of messages with codes: shipped ones, and the workspace's own.

mod body;
mod delete;
mod list;
mod save;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_otp_templates))
        .routes(routes!(save::save_otp_template, delete::delete_otp_template))
}

/// The name and the language in the path. What is no text cannot name one.
#[derive(Debug)]
pub(crate) struct TextPath {
    template: String,
    locale: String,
}

impl FromRequestParts<ApiState> for TextPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((template, locale)) = path.map_err(|_| ApiError::OtpTemplateNotFound)?;
        Ok(Self { template, locale })
    }
}
