//! `GET /api/plans`

use axum::Json;
use axum::extract::State;
use wharf_storage::plans;

use super::body::PlanBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Pagination, ValidQuery};
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::List;

/// List plans
///
/// Newest first.
#[utoipa::path(get, path = "/api/plans", tag = "Plans", security(("bearer" = ["admin"])),
    params(Pagination),
    responses((status = 200, description = "A page of plans", body = List<PlanBody>)))]
pub(crate) async fn list_plans(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    ValidQuery(page): ValidQuery<Pagination>,
) -> Result<Json<List<PlanBody>>, ApiError> {
    let (workspace, page) = (caller.workspace(), page.request());
    let plans = state
        .storage
        .read(move |tx| Box::pin(async move { plans::list(tx, workspace, &page).await }))
        .await?;
    Ok(Json(List::of_page(plans, PlanBody::from)))
}
