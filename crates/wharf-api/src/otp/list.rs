//! `GET /api/otp`

use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use wharf_model::{Phone, VerificationStatus};
use wharf_otp::VerificationQuery;

use super::body::VerificationBody;
use crate::auth::Allowed;
use crate::error::{ApiError, FieldProblem};
use crate::extract::{ValidQuery, page_request};
use crate::rules;
use crate::scope::ReadCodes;
use crate::state::ApiState;
use crate::wire::List;

/// Which verifications.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListVerifications {
    /// Of one phone: a number with its country code.
    #[garde(custom(rules::optional_text(1, 32)))]
    #[param(nullable = false, min_length = 1, max_length = 32, example = "+15551234567")]
    phone: Option<String>,
    /// Of one status.
    #[garde(custom(rules::optional_text(1, 32)))]
    #[param(
        nullable = false,
        max_length = 32,
        pattern = "^(pending|approved|expired|max_attempts_reached|cancelled)$"
    )]
    status: Option<String>,
    /// How many items at most.
    #[serde(default = "default_limit")]
    #[garde(custom(rules::between(1, 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the page before; without it the first page.
    #[garde(custom(rules::cursor))]
    #[param(nullable = false, max_length = 128)]
    cursor: Option<String>,
}

const fn default_limit() -> u32 {
    20
}

impl ListVerifications {
    fn query(&self) -> Result<VerificationQuery, ApiError> {
        Ok(VerificationQuery {
            phone: parsed::<Phone>("/phone", self.phone.as_deref())?,
            status: parsed::<VerificationStatus>("/status", self.status.as_deref())?,
        })
    }
}

/// What a query names, if it names something.
pub(super) fn parsed<T: std::str::FromStr>(pointer: &str, text: Option<&str>) -> Result<Option<T>, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.map(str::parse).transpose().map_err(|error: T::Err| {
        ApiError::InvalidQuery(vec![FieldProblem::new(pointer, "invalid_value", error.to_string())])
    })
}

/// List verifications
///
/// Newest first, without their messages and checks. Codes that were sent only: what was asked of people to send is found by
/// its id.
#[utoipa::path(get, path = "/api/otp", tag = "One-time passwords", security(("bearer" = ["otp:read"])),
    params(ListVerifications),
    responses((status = 200, description = "A page of verifications", body = List<VerificationBody>)))]
pub(crate) async fn list_verifications(
    caller: Allowed<ReadCodes>,
    State(state): State<ApiState>,
    ValidQuery(request): ValidQuery<ListVerifications>,
) -> Result<Json<List<VerificationBody>>, ApiError> {
    let (workspace, query) = (caller.workspace(), request.query()?);
    let page = page_request(request.limit, request.cursor);
    let (allowed, key) = (caller.allowed_sessions(), caller.key_id());
    let mut verifications = state.verifications.list(workspace, query, page).await?;
    verifications.rows.retain(|view| view.is_for(allowed.as_deref(), key));
    Ok(Json(List::of_page(verifications, VerificationBody::from)))
}
