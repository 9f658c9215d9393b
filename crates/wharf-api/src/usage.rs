//! `GET /api/usage`: how much of its plan an API key has used.

use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wharf_model::{ApiKeyId, Day};
use wharf_storage::api_keys::{self, KeyPlan};
use wharf_storage::usage::{self, Used};

use crate::auth::{Allowed, Caller};
use crate::error::{ApiError, FieldProblem};
use crate::extract::ValidQuery;
use crate::scope::{Anybody, Scope};
use crate::state::ApiState;
use crate::wire::{ApiKeyIdText, PlanIdText, Time};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_usage))
}

/// Whose usage.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// That of another key, which needs the scope `admin`; without it that of the key that asks.
    #[garde(skip)]
    #[param(nullable = false)]
    key_id: Option<ApiKeyIdText>,
}

/// How much was used of how much.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageShare)]
pub(crate) struct Share {
    used: u64,
    /// Null does not limit.
    #[schema(required)]
    limit: Option<u64>,
}

/// The plan that a key carries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CarriedPlan {
    id: PlanIdText,
    name: String,
}

/// What an API key has used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageBody {
    key_id: ApiKeyIdText,
    /// Null: it may use as much as it likes.
    #[schema(required)]
    plan: Option<CarriedPlan>,
    /// The day that is counted, in UTC.
    #[schema(format = "date", example = "2026-01-15")]
    day: String,
    /// When it ends, and the counts begin anew.
    resets_at: Time,
    /// Messages that were accepted on this day.
    messages: Share,
    /// One-time passwords that were asked for on this day, every message of a verification counted.
    otps: Share,
    /// Sessions that the key made and that exist.
    sessions: Share,
    /// Calls that it may make in a second, where its plan says so.
    #[schema(required)]
    requests_per_second: Option<u32>,
}

/// What is stored of it.
struct Found {
    plan: Option<KeyPlan>,
    used: Used,
    sessions: u64,
}

impl UsageBody {
    fn new(key: ApiKeyId, found: Found, day: Day) -> Self {
        let Found { plan, used, sessions } = found;
        let limits = plan.as_ref().map(|plan| plan.limits).unwrap_or_default();
        let share = |used, limit| Share { used, limit };
        Self {
            key_id: ApiKeyIdText(key),
            plan: plan.map(|plan| CarriedPlan {
                id: PlanIdText(plan.id),
                name: plan.name,
            }),
            day: day.to_string(),
            resets_at: Time(day.ends_at()),
            messages: share(used.messages, limits.messages_per_day),
            otps: share(used.otps, limits.otps_per_day),
            sessions: share(sessions, limits.sessions),
            requests_per_second: limits.requests_per_second,
        }
    }
}

/// What a key has used
///
/// Every key may ask for its own. A refused call, a repeat with the same `Idempotency-Key` and what a signed-in page does count
/// nothing.
#[utoipa::path(get, path = "/api/usage", tag = "Plans", security(("bearer" = [])),
    params(UsageQuery),
    responses((status = 200, description = "What it has used, and how much it may", body = UsageBody),
        (status = 404, description = "No such key")))]
pub(crate) async fn get_usage(
    caller: Allowed<Anybody>,
    State(state): State<ApiState>,
    ValidQuery(query): ValidQuery<UsageQuery>,
) -> Result<Json<UsageBody>, ApiError> {
    let (workspace, now) = (caller.workspace(), state.clock.now());
    let id = whose(&caller, query.key_id.map(|key| key.0))?;
    let read = state.storage.read(move |tx| {
        Box::pin(async move {
            let Some(key) = api_keys::get(tx, workspace, id).await? else {
                return Ok(None);
            };
            Ok(Some(Found {
                plan: key.plan,
                used: usage::of_day(tx, workspace, id, now).await?,
                sessions: usage::sessions(tx, workspace, id).await?,
            }))
        })
    });
    let (mut found, today) = (read.await?.ok_or(ApiError::ApiKeyNotFound)?, Day::of(now));
    found.used = found.used.plus(state.authenticator.pending_used(id, today));
    Ok(Json(UsageBody::new(id, found, today)))
}

/// The key that is asked about: one's own, or any for an operator.
fn whose(caller: &Caller, named: Option<ApiKeyId>) -> Result<ApiKeyId, ApiError> {
    match (named, caller.key_id()) {
        (None, Some(own)) => Ok(own),
        (Some(named), own) if own == Some(named) => Ok(named),
        (Some(named), _) => {
            caller.require(Scope::Admin)?;
            caller.require_unrestricted()?;
            Ok(named)
        }
        (None, None) => Err(ApiError::InvalidQuery(vec![FieldProblem::new(
            "/key_id",
            "required",
            "Name a key: a signed-in page has none.",
        )])),
    }
}
