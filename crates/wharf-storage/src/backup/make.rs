//! Making a backup.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use wharf_model::Timestamp;

use super::file::{Draft, beside, io};
use super::tables::{Reader, TABLES, insert};
use super::{APPLICATION_ID, BackupError, Destination, OnProgress, Progress, digest, source};
use crate::config::StorageConfig;
use crate::driver::Connection;
use crate::driver::value::{Value, params};
use crate::error::StorageError;

/// Under this name the time stands in the backup's table `meta`.
pub(super) const MADE_AT: &str = "backup_made_at";

/// Rows of `meta` that a backup has and a database has not.
pub(super) const OWN_META: [&str; 2] = [MADE_AT, digest::KEY];

/// Backs a database up while its owner goes on working. No master key is needed for that.
///
/// # Errors
/// One plain sentence; the file is what it was before.
pub async fn make(
    config: StorageConfig,
    to: Destination,
    mut on_progress: OnProgress,
) -> Result<Progress, BackupError> {
    on_thread(async move { make_here(&config, &to, &mut on_progress).await }).await
}

/// Copying blocks: not a thing to do on an async thread.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T, BackupError>> + Send + 'static,
) -> Result<T, BackupError> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(work))
        .await
        .map_err(|error| StorageError::Internal(Arc::new(error)))?
}

async fn make_here(
    config: &StorageConfig,
    to: &Destination,
    on_progress: &mut OnProgress,
) -> Result<Progress, BackupError> {
    let file = std::path::absolute(&to.file).map_err(|source| io(&to.file, source))?;
    refuse_replacing(to, &file)?;
    let mut from = source::snapshot(config).await?;
    let now = config.clock.now();
    let mut draft = Draft::create(beside(&file), APPLICATION_ID, now).await?;
    let copied = copy(&mut from, &mut draft.connection, on_progress).await?;
    drop(from);
    put_meta(&mut draft.connection, MADE_AT, &now.as_millis().to_be_bytes()).await?;
    seal(&mut draft, now).await?;
    refuse_replacing(to, &file)?;
    draft.rename(&file)?;
    Ok(copied)
}

fn refuse_replacing(to: &Destination, file: &Path) -> Result<(), BackupError> {
    if !to.replace && file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    Ok(())
}

async fn copy(
    from: &mut Connection,
    to: &mut Connection,
    on_progress: &mut OnProgress,
) -> Result<Progress, StorageError> {
    let mut progress = Progress::default();
    for table in TABLES {
        let mut reader = Reader::new(table);
        while let Some(rows) = reader.next(from).await? {
            for row in &rows {
                insert(to, table, row, &mut progress).await?;
            }
            on_progress(progress);
        }
    }
    Ok(progress)
}

/// Reads back what was written: the checksum is that of the rows in the file, and a file that cannot be read is found
/// out now.
async fn seal(draft: &mut Draft, now: Timestamp) -> Result<(), StorageError> {
    let digest = digest::of(&mut draft.connection).await?;
    put_meta(&mut draft.connection, digest::KEY, &digest).await?;
    tracing::debug!(backup.made_at = %now, "the backup is complete");
    draft.commit().await
}

pub(super) async fn put_meta(connection: &mut Connection, key: &str, value: &[u8]) -> Result<(), StorageError> {
    connection
        .execute("insert into meta (key, value) values ($1, $2)", params![key, value])
        .await
        .map(drop)
}

/// Whether a row of `meta` is of the backup itself.
pub(super) fn is_own_meta(row: &[Value]) -> bool {
    matches!(row.first(), Some(Value::Text(key)) if OWN_META.contains(&key.as_str()))
}
