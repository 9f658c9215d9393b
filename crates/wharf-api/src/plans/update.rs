//! `PATCH /api/plans/{id}`

use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::PlanId;
use wharf_storage::audit::{self, Action};
use wharf_storage::plans::{self, PlanPatch};
use wharf_storage::{Queue, StorageError};

use super::body::PlanBody;
use super::{MAX_QUOTA, MAX_RATE, MAX_SESSIONS, entry};
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, Valid};
use crate::rules;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::{PlanIdText, present};

/// What to change; what is left out stays, and null takes a limit away.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdatePlan {
    /// The name.
    #[garde(custom(rules::optional_text(1, rules::MAX_NAME)))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$")]
    name: Option<String>,
    /// Calls that each key may make in a second.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(inner(custom(rules::between(1, MAX_RATE)))))]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    requests_per_second: Option<Option<u32>>,
    /// Messages that each key may send in a day of UTC.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(inner(custom(rules::between(0, MAX_QUOTA)))))]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000)]
    messages_per_day: Option<Option<u32>>,
    /// One-time passwords that each key may ask for in a day of UTC.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(inner(custom(rules::between(0, MAX_QUOTA)))))]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1_000_000_000)]
    otps_per_day: Option<Option<u32>>,
    /// How many of the sessions that each key made may exist.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(inner(custom(rules::between(0, MAX_SESSIONS)))))]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1_000_000)]
    sessions: Option<Option<u32>>,
}

impl From<UpdatePlan> for PlanPatch {
    fn from(body: UpdatePlan) -> Self {
        let limit = |limit: Option<Option<u32>>| limit.map(|limit| limit.map(u64::from));
        Self {
            name: body.name,
            requests_per_second: body.requests_per_second,
            messages_per_day: limit(body.messages_per_day),
            otps_per_day: limit(body.otps_per_day),
            sessions: limit(body.sessions),
        }
    }
}

/// Change a plan
///
/// It holds for all keys that carry it, within a second. What they have used on this day stays counted.
#[utoipa::path(patch, path = "/api/plans/{id}", tag = "Plans", security(("bearer" = ["admin"])),
    params(("id" = PlanIdText, Path, description = "The plan")),
    request_body = UpdatePlan,
    responses((status = 200, description = "The plan as it is now", body = PlanBody),
        (status = 409, description = "Another plan has this name")))]
pub(crate) async fn update_plan(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<PlanId>,
    Valid { body, .. }: Valid<UpdatePlan>,
) -> Result<Json<PlanBody>, ApiError> {
    let entry = entry(&caller, Action::PlanChanged, id, state.clock.now());
    let patch = PlanPatch::from(body);
    // A limit that comes in the middle of a day counts what its keys have used on it.
    state.flush_usage().await;
    let changed = state.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move {
            let plan = plans::patch(tx, entry.workspace, id, &patch, entry.at).await?;
            audit::append(tx, Some(&entry)).await?;
            Ok(plan)
        })
    });
    let plan = changed.await.map_err(|error| match error {
        StorageError::NotFound(_) => ApiError::PlanNotFound,
        other => other.into(),
    })?;
    state.authenticator.forget();
    Ok(Json(plan.into()))
}
