//! Credentials that a request brings, or names.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OwnedSemaphorePermit;
use wharf_model::WorkspaceId;
use wharf_vault::Report;
use zeroize::Zeroizing;

use super::errors::fetched;
use crate::error::ApiError;
use crate::state::ApiState;

/// Bytes of the largest body that brings credentials. In a JSON text a folder as JSON is full of escapes.
pub(super) const MAX_BODY: usize = 2 * wharf_vault::MAX_INPUT + 64 * 1024;

/// A place for a body that brings credentials. Taken before the body is read, so that few of them are in memory together
/// whoever sends them; those who come later wait.
#[derive(Debug)]
pub(super) struct Turn {
    #[expect(dead_code, reason = "held, and given back when it is dropped")]
    permit: OwnedSemaphorePermit,
}

impl FromRequestParts<ApiState> for Turn {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let turn = Arc::clone(&state.bringing).acquire_owned().await;
        let permit = turn.map_err(ApiError::internal)?;
        Ok(Self { permit })
    }
}

/// Characters of the longest passphrase.
pub(super) const MAX_PASSPHRASE: usize = 1024;

/// What a request says of them.
pub(super) struct Given {
    data: Zeroizing<String>,
    passphrase: Option<SecretString>,
    /// Whether what lies elsewhere is fetched.
    fetch: bool,
    /// Until the body is gone.
    turn: Option<Turn>,
}

/// Characters of a body that keeps nobody waiting: one that names credentials is shorter, and fetching takes its time.
const SHORT: usize = 4096;

impl Given {
    pub(super) fn new(data: String, passphrase: Option<SecretString>, fetch: bool, turn: Turn) -> Self {
        Self {
            turn: (data.len() > SHORT).then_some(turn),
            data: Zeroizing::new(data),
            passphrase,
            fetch,
        }
    }
}

/// Looks at credentials. Unpacking, deriving a key and curve arithmetic take their time and up to 32 MiB: other requests
/// do not wait for it, and few are looked at together.
pub(super) async fn examine(state: &ApiState, workspace: WorkspaceId, given: Given) -> Result<Report, ApiError> {
    let named = state.places.fetch(workspace, &given.data, given.fetch).await;
    let named = named.map_err(fetched)?;
    let turn = Arc::clone(&state.examining).acquire_owned().await;
    let report = tokio::task::spawn_blocking(move || {
        let passphrase = given.passphrase.as_ref().map(ExposeSecret::expose_secret);
        let data = named.as_deref().map_or(given.data.as_bytes(), Vec::as_slice);
        let report = wharf_vault::examine(data, passphrase);
        // Not before: a caller who went away does not end the work.
        drop((turn, given.turn));
        report
    });
    Ok(report.await.map_err(ApiError::internal)??)
}
