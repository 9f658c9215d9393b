//! `wharf restore`: a database from a backup, into an empty place, with what a person must know about it.

use anyhow::Result;
use wharf_model::SystemEdges;
use wharf_storage::backup::{self, Carry, Restored};

use super::Context;
use super::copying::{Teller, mebibytes};
use crate::cli::Restore;
use crate::outcome::Outcome;
use crate::{output, server};

/// What is not as it was, in the order of how soon somebody notices.
const CHANGED: &str = "\
Linked sessions stay linked: the next start connects them without a QR. Signal sessions, sender keys and one-time
pre-keys were dropped, because they were used since; new ones are made and new pre-keys uploaded at the next login. The
first messages of each chat may take one round more.
  - What was accepted, received or changed after the backup is not in it.
  - Messages that were queued or on the wire then are sent again, under their old ids: official apps show each of them
    once, other linked clients may see an id twice.
  - A call that was accepted after the backup and is repeated with its idempotency key is a new call now.
  - API keys that were revoked and sessions that were deleted since are back: revoke and delete them again.
  - Event cursors from before are answered with 410 cursor_expired: read the events from the start.
Never start the old database beside this one: two servers on one link destroy each other's keys.";

/// Restores a backup.
pub async fn run(context: &Context, options: &Restore) -> Result<Outcome> {
    let config = server::storage_config(&context.settings()?)?;
    let carry: Carry = Box::new(|keys, row| Ok(wharf_whatsapp::carry_over(keys, row, &SystemEdges)?));
    let restored = backup::restore(
        options.file.clone(),
        config,
        carry,
        Teller::new("Restored").into_callback(),
    )
    .await?;
    output::tell(&said(&restored));
    Ok(Outcome::Done)
}

fn said(restored: &Restored) -> String {
    format!(
        "Restored {} sessions, {} messages and {} events as they were at {} ({} rows, {}; {} rows of protocol state \
         dropped).\n{CHANGED}",
        restored.sessions,
        restored.messages,
        restored.events,
        restored.made_at,
        restored.written.rows,
        mebibytes(restored.written.bytes),
        restored.state_dropped
    )
}
