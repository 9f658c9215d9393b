//! The event log: as a cursor feed and as a stream, on one path. Promises that a reader who keeps its cursor misses
//! nothing and sees nothing twice.

mod body;
mod filter;
mod list;
mod tail;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list::list_events))
}
