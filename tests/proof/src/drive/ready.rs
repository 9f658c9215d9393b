//! How long a start takes.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;
use wharf_testkit::process::Wharf;

use crate::recording::{Millis, SessionAbout};

/// How long sessions may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until every session is ready; returns the milliseconds since `started`.
///
/// # Errors
/// One of them does not become ready.
pub async fn all_ready(wharf: &Wharf, sessions: &[SessionAbout], started: Instant) -> Result<Millis> {
    for session in sessions {
        wharf.ready(&session.id, PATIENCE).await?;
    }
    Ok(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
}
