//! Credentials that a request brings.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use wharf_vault::Report;

use crate::error::ApiError;
use crate::state::ApiState;

/// Characters of the longest passphrase.
pub(super) const MAX_PASSPHRASE: usize = 1024;

/// Looks at credentials. Unpacking, deriving a key and curve arithmetic take their time and up to 32 MiB: other requests
/// do not wait for it, and few are looked at together.
pub(super) async fn examine(
    state: &ApiState,
    data: String,
    passphrase: Option<SecretString>,
) -> Result<Report, ApiError> {
    let turn = Arc::clone(&state.examining).acquire_owned().await;
    let report = tokio::task::spawn_blocking(move || {
        let passphrase = passphrase.as_ref().map(ExposeSecret::expose_secret);
        let report = wharf_vault::examine(data.as_bytes(), passphrase);
        // Not before: a caller who went away does not end the work.
        drop(turn);
        report
    });
    Ok(report.await.map_err(ApiError::internal)??)
}
