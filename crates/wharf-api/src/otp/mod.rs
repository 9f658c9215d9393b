//! One-time passwords: codes that are sent to a phone, checked and used once, and texts that a person sends to prove his
//! number. Promises that a code is in no answer, that a text is in the one that asks for it only, that a check answers with
//! success only when it approves, and that any other outcome says where the verification stands.

mod body;
mod cancel;
mod errors;
mod get;
mod list;
mod receive;
mod send;
mod stats;
mod templates;
mod unlock;
mod verify;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_verifications))
        .routes(routes!(send::send_code))
        .routes(routes!(receive::receive_code))
        .routes(routes!(verify::verify_code))
        .routes(routes!(unlock::unlock_phone))
        .routes(routes!(stats::get_otp_stats))
        .merge(templates::routes())
        .routes(routes!(get::get_verification))
        .routes(routes!(cancel::cancel_verification))
}
