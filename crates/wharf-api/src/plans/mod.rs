//! Plans: how much the API keys that carry them may use. Promises that a change holds within a second, and that no plan goes
//! while a key that works carries it. What was used is in [`crate::usage`].

mod body;
mod create;
mod delete;
mod get;
mod list;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wharf_model::{PlanId, Timestamp};
use wharf_storage::audit::{Action, AuditEntry};

use crate::auth::Caller;
use crate::rules;
use crate::state::ApiState;

/// The highest rate, in calls a second.
const MAX_RATE: u32 = 100_000;
/// The largest quota of a day.
const MAX_QUOTA: u32 = 1_000_000_000;
/// The most sessions.
const MAX_SESSIONS: u32 = 1_000_000;

/// A plan cannot be called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a plan has 1 to {} characters, and NUL is none of them",
    rules::MAX_NAME
)]
pub struct PlanNameError;

/// The rule of a plan's name, for who makes plans without the API.
///
/// # Errors
/// The name is empty or too long, or holds NUL.
pub fn check_plan_name(name: &str) -> Result<(), PlanNameError> {
    rules::text(1, rules::MAX_NAME)(name, &()).map_err(|_| PlanNameError)
}

/// What the audit log says of a change of this plan.
fn entry(caller: &Caller, action: Action, plan: PlanId, at: Timestamp) -> AuditEntry {
    AuditEntry {
        workspace: caller.workspace(),
        at,
        by: caller.requester(),
        action,
        session: None,
        api_key: None,
        plan: Some(plan),
    }
}

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_plan, list::list_plans))
        .routes(routes!(get::get_plan, update::update_plan, delete::delete_plan))
}
