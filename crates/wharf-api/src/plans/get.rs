//! `GET /api/plans/{id}`

use axum::Json;
use axum::extract::State;
use wharf_model::PlanId;
use wharf_storage::plans;

use super::body::PlanBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::PlanIdText;

/// Get a plan
#[utoipa::path(get, path = "/api/plans/{id}", tag = "Plans", security(("bearer" = ["admin"])),
    params(("id" = PlanIdText, Path, description = "The plan")),
    responses((status = 200, description = "The plan", body = PlanBody)))]
pub(crate) async fn get_plan(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<PlanId>,
) -> Result<Json<PlanBody>, ApiError> {
    let workspace = caller.workspace();
    let plan = state
        .storage
        .read(move |tx| Box::pin(plans::get(tx, workspace, id)))
        .await?;
    Ok(Json(plan.ok_or(ApiError::PlanNotFound)?.into()))
}
