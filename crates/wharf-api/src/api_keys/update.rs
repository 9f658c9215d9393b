//! `PATCH /api/api-keys/{id}`

use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::ApiKeyId;
use wharf_storage::api_keys::{self, changes};
use wharf_storage::{Queue, StorageError};

use super::body::ApiKeyBody;
use super::change;
use super::create::refused;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, Valid};
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::{ApiKeyIdText, PlanIdText, present};

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateApiKey {
    /// Another plan; null takes it away, and the key may use as much as it likes.
    #[serde(default, deserialize_with = "present")]
    #[garde(skip)]
    #[schema(value_type = Option<PlanIdText>)]
    plan: Option<Option<PlanIdText>>,
}

/// Change an API key
///
/// What it has used on this day stays counted.
#[utoipa::path(patch, path = "/api/api-keys/{id}", tag = "API keys", security(("bearer" = ["admin"])),
    params(("id" = ApiKeyIdText, Path, description = "The key")),
    request_body = UpdateApiKey,
    responses((status = 200, description = "The key as it is now", body = ApiKeyBody)))]
pub(crate) async fn update_api_key(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<ApiKeyId>,
    Valid { body, .. }: Valid<UpdateApiKey>,
) -> Result<Json<ApiKeyBody>, ApiError> {
    let (workspace, now) = (caller.workspace(), state.clock.now());
    let change = change(&caller, id);
    let plan = body.plan.map(|plan| plan.map(|plan| plan.0));
    // A limit that comes in the middle of a day counts what the key has used on it.
    state.flush_usage().await;
    let changed = state.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move {
            if let Some(plan) = plan {
                changes::set_plan(tx, change, plan, now).await?;
            }
            api_keys::get(tx, workspace, id).await
        })
    });
    let key = changed.await.map_err(|error| match error {
        StorageError::NotFound("API key") => ApiError::ApiKeyNotFound,
        other => refused(other),
    })?;
    let key = key.ok_or(ApiError::ApiKeyNotFound)?;
    state.authenticator.forget();
    Ok(Json(ApiKeyBody::new(key, state.authenticator.pending_usage(id))))
}
