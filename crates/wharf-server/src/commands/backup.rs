//! `wharf backup`: the whole database as one file. Reads beside a running server, and needs none.

use anyhow::Result;
use wharf_storage::backup::{self, BackupError, Destination};

use super::Context;
use super::copying::{Teller, mebibytes};
use crate::cli::Backup;
use crate::outcome::{Outcome, Stop};
use crate::{output, server};

/// Makes a backup.
pub async fn run(context: &Context, options: &Backup) -> Result<Outcome> {
    let config = server::storage_config(&context.settings()?)?;
    let to = Destination {
        file: options.file.clone(),
        replace: options.force,
    };
    let copied = backup::make(config, to, Teller::new("Backed up").into_callback())
        .await
        .map_err(explain)?;
    output::tell(&format!(
        "The backup {} is complete: {} rows, {}. It is sealed, and its master key is not in it: keep the key in \
         another place, because nobody can restore without it.",
        options.file.display(),
        copied.rows,
        mebibytes(copied.bytes)
    ));
    Ok(Outcome::Done)
}

fn explain(error: BackupError) -> anyhow::Error {
    match error {
        BackupError::Exists(_) => Stop::new(Outcome::Failed, format!("{error}; --force replaces it")).into(),
        other => other.into(),
    }
}
