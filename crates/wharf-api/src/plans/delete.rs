//! `DELETE /api/plans/{id}`

use axum::extract::State;
use http::StatusCode;
use wharf_model::PlanId;
use wharf_storage::audit::{self, Action};
use wharf_storage::plans::{self, PlanInUse};
use wharf_storage::{Queue, StorageError};

use super::entry;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::PlanIdText;

/// Delete a plan
///
/// Only one that no key carries, but for keys that were revoked.
#[utoipa::path(delete, path = "/api/plans/{id}", tag = "Plans", security(("bearer" = ["admin"])),
    params(("id" = PlanIdText, Path, description = "The plan")),
    responses((status = 204, description = "Deleted"),
        (status = 409, description = "A key carries it")))]
pub(crate) async fn delete_plan(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<PlanId>,
) -> Result<StatusCode, ApiError> {
    let entry = entry(&caller, Action::PlanDeleted, id, state.clock.now());
    let deleted = state.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move {
            plans::delete(tx, entry.workspace, id).await?;
            audit::append(tx, Some(&entry)).await
        })
    });
    deleted.await.map_err(|error| match error {
        StorageError::NotFound(_) => ApiError::PlanNotFound,
        other if other.rejection::<PlanInUse>().is_some() => ApiError::PlanInUse,
        other => other.into(),
    })?;
    state.authenticator.forget();
    Ok(StatusCode::NO_CONTENT)
}
