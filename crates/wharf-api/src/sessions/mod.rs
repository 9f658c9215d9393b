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
mod passkey;
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

use crate::extract::limited;
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
        .routes(routes!(passkey::get_passkey_challenge))
        .routes(routes!(passkey::answer_passkey))
        .routes(routes!(passkey::confirm_passkey))
        .routes(routes!(disconnect::disconnect_session))
        .routes(routes!(restart::restart_session))
        .routes(routes!(logout::logout_session))
        .routes(routes!(history::get_session_history))
        .routes(routes!(stream::stream_session_events))
        .routes(routes!(export::export_session))
        .routes(routes!(moving::confirm_export))
        .routes(routes!(moving::cancel_export))
        .merge(bringing_credentials())
}

/// A folder of a bot that talks with many is larger than any other body.
fn bringing_credentials() -> OpenApiRouter<ApiState> {
    let (body_limit, told_limit) = limited(credentials::MAX_BODY);
    OpenApiRouter::new()
        .routes(routes!(import::import_session))
        .routes(routes!(validate::validate_credentials))
        .layer(body_limit)
        .layer(told_limit)
}
