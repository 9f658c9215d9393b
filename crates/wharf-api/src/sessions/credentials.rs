//! Credentials that a request brings.

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
    let turn = state.examining.acquire().await;
    let report = tokio::task::spawn_blocking(move || {
        let passphrase = passphrase.as_ref().map(ExposeSecret::expose_secret);
        wharf_vault::examine(data.as_bytes(), passphrase)
    });
    let report = report.await.map_err(ApiError::internal)?;
    drop(turn);
    Ok(report?)
}
