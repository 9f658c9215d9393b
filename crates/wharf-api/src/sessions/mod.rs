//! Sessions: linked WhatsApp accounts. Promises that a QR's text and a pairing code are in answers of their own routes and
//! the session's own stream only.

mod body;
mod connect;
mod create;
mod credentials;
mod delete;
mod disconnect;
mod errors;
mod export;
mod get;
mod history;
mod import;
mod list;
mod logout;
mod moving;
mod pacing;
mod pairing;
mod qr;
mod restart;
mod setup;
mod stream;
mod update;
mod validate;

pub(crate) use errors::metadata_too_large;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
pub use validate::described;

use crate::state::ApiState;

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_session, list::list_sessions))
        .routes(routes!(
            get::get_session,
            update::update_session,
            delete::delete_session
        ))
        .routes(routes!(connect::connect_session))
        .routes(routes!(qr::get_session_qr))
        .routes(routes!(pairing::create_pairing_code))
        .routes(routes!(disconnect::disconnect_session))
        .routes(routes!(restart::restart_session))
        .routes(routes!(logout::logout_session))
        .routes(routes!(history::get_session_history))
        .routes(routes!(stream::stream_session_events))
        .routes(routes!(export::export_session))
        .routes(routes!(moving::confirm_export))
        .routes(routes!(moving::cancel_export))
        .routes(routes!(import::import_session))
        .routes(routes!(validate::validate_credentials))
}
