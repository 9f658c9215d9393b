//! Messages: sent, read, taken back. Promises that a message which was answered with 202 is durable, and that the body
//! of a one-time password is in no answer.

mod body;
mod cancel;
mod errors;
mod get;
mod list;
mod send;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(send::send_message, list::list_messages))
        .routes(routes!(get::get_message))
        .routes(routes!(cancel::cancel_message))
}
