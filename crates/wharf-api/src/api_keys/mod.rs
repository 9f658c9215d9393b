//! API keys: made, listed, revoked. Promises that a key's text is in one answer only.

mod body;
mod create;
mod get;
mod list;
mod revoke;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_api_key, list::list_api_keys))
        .routes(routes!(get::get_api_key, revoke::revoke_api_key))
}
