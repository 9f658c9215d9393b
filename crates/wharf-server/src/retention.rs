//! Owns the age that events, and the days of API keys' usage, may reach. Promises that neither grows for ever, and that
//! clearing them away holds up nobody: unit by unit, each short.

use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_model::Timestamp;
use wharf_storage::{Queue, Storage, StorageError, Tx, events, usage};

/// How often it looks, unless events are kept for less.
const EVERY: Duration = Duration::from_secs(60);

/// How many rows one unit of work deletes.
const AT_ONCE: u32 = 500;

type Pruned<'tx> = Pin<Box<dyn Future<Output = Result<u64, StorageError>> + Send + 'tx>>;
type Prune = fn(&mut Tx, Timestamp) -> Pruned<'_>;

fn old_events(tx: &mut Tx, before: Timestamp) -> Pruned<'_> {
    Box::pin(events::prune(tx, before, AT_ONCE))
}

fn old_usage(tx: &mut Tx, before: Timestamp) -> Pruned<'_> {
    Box::pin(usage::prune(tx, before, AT_ONCE))
}

/// Deletes events that are older than `kept`, and usage that is older than it is of use, now and then, until `stop`.
pub async fn keep_up(storage: Storage, kept: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY.min(kept));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match clear(&storage, old_events, kept, &stop).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(events.deleted = count, "events past storage.events_kept were deleted"),
            Err(error) => tracing::warn!(error = %error, "old events could not be deleted; it is tried again"),
        }
        if let Err(error) = clear(&storage, old_usage, usage::KEPT, &stop).await {
            tracing::warn!(error = %error, "old usage of API keys could not be deleted; it is tried again");
        }
    }
}

async fn clear(storage: &Storage, prune: Prune, kept: Duration, stop: &CancellationToken) -> Result<u64, StorageError> {
    let before = storage.clock().now() - kept;
    let mut cleared = 0;
    while !stop.is_cancelled() {
        let unit = storage.write(Queue::Normal, move |tx| prune(tx, before));
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
    use wharf_model::{ApiKeyId, Clock, EventId, EventKind, SystemEdges, WorkspaceId};
    use wharf_storage::events::{Event, EventFilter};
    use wharf_storage::plans::PlanLimits;
    use wharf_storage::usage::{Allowance, Resource};
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
        let cleared = clear(&storage, old_events, kept, &CancellationToken::new()).await;
        assert_eq!(cleared.unwrap(), old);
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

    #[tokio::test]
    async fn usage_is_known_for_ninety_days() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(StorageConfig::new(dir.path(), NETWORK)).await.unwrap();
        let workspace = storage.ensure_default_workspace().await.unwrap().id;
        let key = ApiKeyId::generate(&SystemEdges, &SystemEdges);
        let limits = PlanLimits {
            messages_per_day: Some(1),
            ..PlanLimits::NONE
        };
        let allowance = Allowance::new(workspace, key, limits);
        let (day, now) = (Duration::from_secs(24 * 60 * 60), SystemEdges.now());
        let days = [now - 92 * day, now - 91 * day, now - 89 * day, now];
        let count = storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                for at in days {
                    usage::take(tx, &allowance, Resource::Messages, 1, at).await?;
                }
                Ok(())
            })
        });
        count.await.unwrap();
        let cleared = clear(&storage, old_usage, usage::KEPT, &CancellationToken::new()).await;
        assert_eq!(cleared.unwrap(), 2);
        for (at, messages) in days.into_iter().zip([0, 0, 1, 1]) {
            let found = storage.read(move |tx| Box::pin(usage::of_day(tx, workspace, key, at)));
            assert_eq!(found.await.unwrap().messages, messages);
        }
    }
}
