//! `POST /api/plans`

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::{PlanId, WorkspaceId};
use wharf_storage::Queue;
use wharf_storage::audit::{self, Action, AuditEntry};
use wharf_storage::plans::{self, Plan, PlanLimits};

use super::body::PlanBody;
use super::{MAX_QUOTA, MAX_RATE, MAX_SESSIONS, entry};
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Valid;
use crate::idempotency::{Answer, Keep, Once};
use crate::rules;
use crate::scope::Administer;
use crate::state::ApiState;

/// A plan to be made. What is left out does not limit.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "starter", "requests_per_second": 10, "messages_per_day": 1000}))]
pub(crate) struct CreatePlan {
    /// What you call it; no two plans have the same name.
    #[garde(custom(rules::text(1, rules::MAX_NAME)))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$", example = "starter")]
    name: String,
    /// Calls that each key may make in a second, spent at once or evenly.
    #[garde(custom(rules::optional_between(1, MAX_RATE)))]
    #[schema(minimum = 1, maximum = 100_000)]
    requests_per_second: Option<u32>,
    /// Messages that each key may send in a day of UTC.
    #[garde(custom(rules::optional_between(0, MAX_QUOTA)))]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    messages_per_day: Option<u32>,
    /// One-time passwords that each key may ask for in a day of UTC, every message of a verification counted.
    #[garde(custom(rules::optional_between(0, MAX_QUOTA)))]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    otps_per_day: Option<u32>,
    /// How many of the sessions that each key made may exist.
    #[garde(custom(rules::optional_between(0, MAX_SESSIONS)))]
    #[schema(minimum = 0, maximum = 1_000_000)]
    sessions: Option<u32>,
}

/// Make a plan
///
/// Give it to keys with `plan`. What is used is counted for each key.
#[utoipa::path(post, path = "/api/plans", tag = "Plans", security(("bearer" = ["admin"])),
    request_body = CreatePlan,
    responses((status = 201, description = "The plan", body = PlanBody)))]
pub(crate) async fn create_plan(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<CreatePlan>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    let plan = new_plan(&state, caller.workspace(), body);
    let entry = entry(&caller, Action::PlanCreated, plan.id, plan.created_at);
    let effect = create(state.clone(), plan, entry);
    once.run(&state, &caller, &raw, Keep::Answer, effect).await
}

fn new_plan(state: &ApiState, workspace: WorkspaceId, request: CreatePlan) -> Plan {
    let now = state.clock.now();
    Plan {
        id: PlanId::generate(&*state.clock, &*state.random),
        workspace_id: workspace,
        name: request.name,
        limits: PlanLimits {
            requests_per_second: request.requests_per_second,
            messages_per_day: request.messages_per_day.map(u64::from),
            otps_per_day: request.otps_per_day.map(u64::from),
            sessions: request.sessions.map(u64::from),
        },
        created_at: now,
        updated_at: now,
    }
}

async fn create(state: ApiState, plan: Plan, entry: AuditEntry) -> Result<Answer, ApiError> {
    let new = plan.clone();
    let stored = state.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move {
            plans::insert(tx, &new).await?;
            audit::append(tx, Some(&entry)).await
        })
    });
    stored.await?;
    Answer::json(StatusCode::CREATED, &PlanBody::from(plan))
}
