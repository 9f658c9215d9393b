//! The promises of the event log.

use std::sync::mpsc;
use std::time::Duration;

use wharf_model::{EventId, EventKind, SystemEdges};

use super::Subject;
use crate::events::{self, EventFilter, EventPage};
use crate::{Cursor, StorageError};

async fn read(subject: &Subject, after: Option<Cursor>, filter: EventFilter, limit: u32) -> EventPage {
    let workspace = subject.workspace;
    subject
        .read(move |tx| Box::pin(async move { events::read(tx, workspace, after.as_ref(), &filter, limit).await }))
        .await
}

async fn read_all(subject: &Subject, mut after: Option<Cursor>, filter: &EventFilter, limit: u32) -> Vec<EventId> {
    let mut seen = Vec::new();
    loop {
        let page = read(subject, after, filter.clone(), limit).await;
        assert!(page.events.len() <= limit as usize);
        seen.extend(page.events.iter().map(|logged| logged.event.id));
        if page.caught_up {
            return seen;
        }
        after = Some(page.cursor);
    }
}

async fn append(subject: &Subject, kinds: &[EventKind]) -> Vec<EventId> {
    let mut new = Vec::new();
    for kind in kinds {
        new.push(subject.event(*kind, b"{}").await);
    }
    let ids = new.iter().map(|event| event.id).collect();
    subject.append(new).await;
    ids
}

/// From the start, from the middle, and from the end.
pub async fn a_reader_gets_every_event_once_and_in_order(subject: &Subject) {
    let ids = append(subject, &[EventKind::MessageQueued; 5]).await;
    assert_eq!(read_all(subject, None, &EventFilter::default(), 2).await, ids);
    let first = read(subject, None, EventFilter::default(), 3).await;
    let middle = first.events[1].cursor.clone();
    assert_eq!(
        read_all(subject, Some(middle), &EventFilter::default(), 100).await,
        ids[2..]
    );
    let workspace = subject.workspace;
    let end = subject.read(move |tx| Box::pin(events::end(tx, workspace))).await;
    assert!(
        read_all(subject, Some(end.clone()), &EventFilter::default(), 10)
            .await
            .is_empty()
    );
    let later = append(subject, &[EventKind::MessageSent]).await;
    assert_eq!(read_all(subject, Some(end), &EventFilter::default(), 10).await, later);
}

/// A reader that follows along misses nothing and sees nothing twice, however many write.
pub async fn concurrent_writers_make_one_order(subject: &Subject) {
    let mut changes = subject.storage.changes();
    let mut writers = Vec::new();
    for _ in 0..8 {
        let mut new = Vec::new();
        for _ in 0..25 {
            new.push(subject.event(EventKind::MessageSent, b"{}").await);
        }
        let storage = subject.storage.clone();
        writers.push(tokio::spawn(async move {
            for event in new {
                let write = storage.write(crate::Queue::Normal, move |tx| {
                    Box::pin(async move { events::append(tx, &event).await })
                });
                write.await.unwrap();
            }
        }));
    }
    let (mut followed, mut after) = (Vec::new(), None);
    while followed.len() < 200 {
        let page = read(subject, after.clone(), EventFilter::default(), 7).await;
        followed.extend(page.events.iter().map(|logged| logged.event.id));
        after = Some(page.cursor);
        if page.caught_up && followed.len() < 200 {
            changes.changed().await.unwrap();
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(read_all(subject, None, &EventFilter::default(), 1000).await, followed);
}

/// One unit stays open while others commit: nothing is passed over, and nothing moves that was read.
pub async fn an_open_unit_loses_no_reader_an_event(subject: &Subject) {
    let mut new = Vec::new();
    for _ in 0..6 {
        new.push(subject.event(EventKind::MessageSent, b"{}").await);
    }
    let ids: Vec<_> = new.iter().map(|event| event.id).collect();
    let slow = new.remove(0);
    let (release, wait) = mpsc::channel::<()>();
    let (appended, begun) = tokio::sync::oneshot::channel();
    let storage = subject.storage.clone();
    let slow = tokio::spawn(async move {
        let unit = storage.write(crate::Queue::Normal, move |tx| {
            Box::pin(async move {
                events::append(tx, &slow).await?;
                // Asks, so that the event is with the database and not on its way to it.
                tx.first("select 1 from meta limit 1", &[]).await?;
                let _ = appended.send(());
                let _ = tokio::task::block_in_place(|| wait.recv());
                Ok(())
            })
        });
        unit.await.unwrap();
    });
    begun.await.unwrap();
    let storage = subject.storage.clone();
    let quick = tokio::spawn(async move {
        for event in new {
            let unit = storage.write(crate::Queue::Normal, move |tx| {
                Box::pin(async move { events::append(tx, &event).await })
            });
            unit.await.unwrap();
        }
    });
    let quick = if subject.storage.writers() > 1 {
        quick.await.unwrap();
        None
    } else {
        Some(quick)
    };
    let nothing = read(subject, None, EventFilter::default(), 100).await;
    assert!(nothing.events.is_empty() && nothing.caught_up);
    let mut changes = subject.storage.changes();
    drop(release);
    slow.await.unwrap();
    if let Some(quick) = quick {
        quick.await.unwrap();
    }
    let (mut followed, mut after) = (Vec::new(), Some(nothing.cursor));
    while followed.len() < ids.len() {
        changes.borrow_and_update();
        let page = read(subject, after.clone(), EventFilter::default(), 2).await;
        followed.extend(page.events.iter().map(|logged| logged.event.id));
        after = Some(page.cursor);
        if page.caught_up && followed.len() < ids.len() {
            changes.changed().await.unwrap();
        }
    }
    assert_eq!(followed, ids);
    assert_eq!(read_all(subject, None, &EventFilter::default(), 100).await, ids);
}

/// A rare type does not make a reader start over.
pub async fn a_filter_holds_back_and_the_cursor_moves_on(subject: &Subject) {
    let mut kinds = vec![EventKind::MessageQueued; 1200];
    kinds[1100] = EventKind::MessageFailed;
    let ids = append(subject, &kinds).await;
    let rare = EventFilter {
        kinds: vec![EventKind::MessageFailed],
        session: None,
    };
    let page = read(subject, None, rare.clone(), 10).await;
    assert_eq!(
        page.events.iter().map(|logged| logged.event.id).collect::<Vec<_>>(),
        [ids[1100]]
    );
    assert!(page.caught_up);
    assert!(read(subject, Some(page.cursor), rare, 10).await.events.is_empty());
    let session = Some(wharf_model::SessionId::generate(&SystemEdges, &SystemEdges));
    assert!(
        read_all(subject, None, &EventFilter { kinds: vec![], session }, 10)
            .await
            .is_empty()
    );
}

/// Old events go; a reader that stood among them reads on behind them.
pub async fn a_cursor_survives_pruning(subject: &Subject) {
    append(subject, &[EventKind::MessageQueued; 3]).await;
    let old = read(subject, None, EventFilter::default(), 1).await.cursor;
    subject.clock.advance(Duration::from_secs(10));
    let young = append(subject, &[EventKind::MessageSent; 2]).await;
    let before = subject.now();
    let mut pruned = Vec::new();
    for _ in 0..3 {
        pruned.push(subject.write(move |tx| Box::pin(events::prune(tx, before, 2))).await);
    }
    assert_eq!(pruned, [2, 1, 0]);
    assert_eq!(read_all(subject, Some(old), &EventFilter::default(), 10).await, young);
}

/// Nor one that was tampered with.
pub async fn a_cursor_of_another_workspace_is_refused(subject: &Subject) {
    append(subject, &[EventKind::MessageQueued]).await;
    let (workspace, other) = (subject.workspace, subject.other_workspace().await);
    let end = subject.read(move |tx| Box::pin(events::end(tx, workspace))).await;
    let refused = subject
        .storage
        .read(move |tx| {
            Box::pin(async move {
                events::read(tx, other, Some(&end), &EventFilter::default(), 10)
                    .await
                    .map(drop)
            })
        })
        .await;
    assert!(matches!(refused, Err(StorageError::BadCursor)), "{refused:?}");
}

/// What the session sealed dies with it; what the workspace sealed stays.
pub async fn events_open_until_their_session_is_deleted(subject: &Subject) {
    let session = subject.session("s").await;
    let kept = subject.event(EventKind::SessionStatus, b"status").await;
    let mut lost = subject.event(EventKind::MessageReceived, b"").await;
    lost.session_id = Some(session.id);
    lost.data = session.keys.seal_event(lost.id, b"words").unwrap();
    subject.append(vec![kept.clone(), lost.clone()]).await;
    assert_eq!(
        subject.storage.open_event(&lost).await.unwrap().as_deref(),
        Some(&b"words"[..])
    );
    subject
        .storage
        .delete_session(subject.workspace, session.id)
        .await
        .unwrap();
    assert_eq!(subject.storage.open_event(&lost).await.unwrap(), None);
    assert_eq!(
        subject.storage.open_event(&kept).await.unwrap().as_deref(),
        Some(&b"status"[..])
    );
}
