//! The delays the sandbox adds on purpose, so that a measurement can subtract them.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::sandbox::Sandbox;

/// All in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TimingBody {
    /// Between the end of a handshake and the first stanza, at every connection.
    first_stanza_ms: u64,
    /// Between a new companion's signature and the 515 that sends it to its first login.
    restart_ms: u64,
    /// Between what a companion that links with a passkey says and the phone's answer to it.
    passkey_ms: u64,
    /// Between the answer to a removal and the end of the connection.
    removal_ms: u64,
    /// The sum on the way from a scan to the answer to the login that follows it.
    scan_to_logged_in_ms: u64,
}

/// The delays that are added on purpose
#[utoipa::path(get, path = "/sandbox/api/timing", tag = "Network",
    responses((status = 200, description = "In milliseconds", body = TimingBody)))]
pub(super) async fn show(State(sandbox): State<Sandbox>) -> Json<TimingBody> {
    let timing = sandbox.timing();
    Json(TimingBody {
        first_stanza_ms: millis(timing.first_stanza),
        restart_ms: millis(timing.restart),
        passkey_ms: millis(timing.passkey),
        removal_ms: millis(timing.removal),
        scan_to_logged_in_ms: millis(timing.scan_to_logged_in()),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
