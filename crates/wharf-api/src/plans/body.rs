//! A plan as answers show it.

use serde::Serialize;
use utoipa::ToSchema;
use wharf_storage::plans::Plan;

use crate::wire::{PlanIdText, Time};

/// How much each API key that carries it may use; null does not limit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanBody {
    id: PlanIdText,
    #[schema(example = "starter")]
    name: String,
    /// Calls in a second.
    #[schema(required)]
    requests_per_second: Option<u32>,
    /// Messages in a day.
    #[schema(required)]
    messages_per_day: Option<u64>,
    /// One-time passwords in a day.
    #[schema(required)]
    otps_per_day: Option<u64>,
    /// Sessions that the key made and that exist.
    #[schema(required)]
    sessions: Option<u64>,
    created_at: Time,
    updated_at: Time,
}

impl From<Plan> for PlanBody {
    fn from(plan: Plan) -> Self {
        Self {
            id: PlanIdText(plan.id),
            name: plan.name,
            requests_per_second: plan.limits.requests_per_second,
            messages_per_day: plan.limits.messages_per_day,
            otps_per_day: plan.limits.otps_per_day,
            sessions: plan.limits.sessions,
            created_at: Time(plan.created_at),
            updated_at: Time(plan.updated_at),
        }
    }
}
