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

use crate::state::ApiState;

/// The highest rate, in calls a second.
const MAX_RATE: u32 = 100_000;
/// The largest quota of a day.
const MAX_QUOTA: u32 = 1_000_000_000;
/// The most sessions.
const MAX_SESSIONS: u32 = 1_000_000;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_plan, list::list_plans))
        .routes(routes!(get::get_plan, update::update_plan, delete::delete_plan))
}
