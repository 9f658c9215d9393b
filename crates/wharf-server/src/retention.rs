//! Owns the age that events may reach. Promises that the log does not grow for ever, and that clearing it away holds up
//! nobody: unit by unit, each short.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_storage::{Queue, Storage, StorageError, events};

/// How often it looks, unless events are kept for less.
const EVERY: Duration = Duration::from_secs(60);

/// How many events one unit of work deletes.
const AT_ONCE: u32 = 500;

/// Deletes events that are older than `kept`, now and then, until `stop`.
pub async fn keep_up(storage: Storage, kept: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY.min(kept));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match clear(&storage, kept, &stop).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(events.deleted = count, "events past storage.events_kept were deleted"),
            Err(error) => tracing::warn!(error = %error, "old events could not be deleted; it is tried again"),
        }
    }
}

async fn clear(storage: &Storage, kept: Duration, stop: &CancellationToken) -> Result<u64, StorageError> {
    let before = storage.clock().now() - kept;
    let mut cleared = 0;
    while !stop.is_cancelled() {
        let unit = storage.write(Queue::Normal, move |tx| Box::pin(events::prune(tx, before, AT_ONCE)));
        let count = unit.await?;
        cleared += count;
        if count < u64::from(AT_ONCE) {
            break;
        }
    }
    Ok(cleared)
}

#[cfg(test)]
mod tests {
    use wharf_model::{Clock, EventId, EventKind, SystemEdges, Timestamp, WorkspaceId};
    use wharf_storage::events::{Event, EventFilter};
    use wharf_storage::{StorageConfig, WorkspaceKeys};

    use super::*;
    use crate::server::NETWORK;

    fn event(workspace: WorkspaceId, keys: &WorkspaceKeys, created_at: Timestamp) -> Event {
        let id = EventId::generate(&SystemEdges, &SystemEdges);
        Event {
            id,
            workspace_id: workspace,
            session_id: None,
            kind: EventKind::SessionStatus,
            data: keys.seal_event(id, b"{}").unwrap(),
            created_at,
        }
    }

    #[tokio::test]
    async fn old_events_go_however_many_and_young_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(StorageConfig::new(dir.path(), NETWORK)).await.unwrap();
        let workspace = storage.ensure_default_workspace().await.unwrap().id;
        let keys = storage.workspace_keys(workspace).await.unwrap();
        let (kept, now) = (Duration::from_secs(3600), SystemEdges.now());
        let old = u64::from(AT_ONCE) + 7;
        let mut log: Vec<_> = (0..old).map(|_| event(workspace, &keys, now - 2 * kept)).collect();
        let young = event(workspace, &keys, now);
        log.push(young.clone());
        let append = storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                for event in &log {
                    events::append(tx, event).await?;
                }
                Ok(())
            })
        });
        append.await.unwrap();
        assert_eq!(clear(&storage, kept, &CancellationToken::new()).await.unwrap(), old);
        let left = storage.read(move |tx| {
            Box::pin(async move { events::read(tx, workspace, None, &EventFilter::default(), 10).await })
        });
        let left: Vec<_> = left
            .await
            .unwrap()
            .events
            .into_iter()
            .map(|logged| logged.event.id)
            .collect();
        assert_eq!(left, [young.id]);
    }
}
