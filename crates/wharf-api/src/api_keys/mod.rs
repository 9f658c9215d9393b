//! API keys: made, listed, given plans, rotated, revoked. Promises that each text of a key is in one answer only.

mod body;
mod create;
mod get;
mod list;
mod revoke;
mod revoke_own;
mod rotate;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wharf_model::ApiKeyId;
use wharf_storage::api_keys::changes::KeyChange;

use crate::auth::Caller;
use crate::state::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_api_key, list::list_api_keys))
        .routes(routes!(revoke_own::revoke_own_api_key))
        .routes(routes!(
            get::get_api_key,
            update::update_api_key,
            revoke::revoke_api_key
        ))
        .routes(routes!(rotate::rotate_api_key))
}

/// A change that a caller makes of a key of his workspace.
fn change(caller: &Caller, key: ApiKeyId) -> KeyChange {
    KeyChange {
        workspace: caller.workspace(),
        key,
        by: caller.requester(),
    }
}
