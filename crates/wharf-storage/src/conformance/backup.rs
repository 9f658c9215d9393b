//! The promises of a backup, from this dialect into a database of its own.

use std::path::PathBuf;

use wharf_model::{EventId, EventKind, Lane};

use super::Subject;
use super::subject::Linked;
use crate::backup::{self, Carry, Destination, Restored};
use crate::events::{self, EventFilter};
use crate::wa_state::{self, StateRow};
use crate::{Cursor, MasterKey, StorageConfig, StorageError};

fn keep_all() -> Carry {
    Box::new(|_, row| Ok(Some(row)))
}

fn master(subject: &Subject) -> MasterKey {
    subject.storage.inner().keyring.master()
}

async fn back_up(subject: &Subject, name: &str) -> PathBuf {
    let config = subject.storage.inner().config.clone();
    let file = config.dir.join(name);
    let to = Destination {
        file: file.clone(),
        replace: false,
    };
    backup::make(config, to, Box::new(|_| {})).await.unwrap();
    file
}

/// Restores into the spare place or a directory beside, and opens what was restored.
async fn restore(subject: &Subject, file: PathBuf, carry: Carry) -> (Subject, Restored) {
    let source = &subject.storage.inner().config;
    let directory = || StorageConfig::new(file.with_extension("restored"), source.network);
    let mut config = subject.take_spare().unwrap_or_else(directory);
    config.master_key = Some(master(subject));
    let restored = backup::restore(file, config.clone(), carry, Box::new(|_| {}))
        .await
        .unwrap();
    (Subject::open(config, ()).await, restored)
}

async fn same_session(subject: &Subject, session: &Linked) -> Linked {
    Linked {
        id: session.id,
        fence: session.fence,
        keys: subject.storage.session_keys(session.id).await.unwrap(),
    }
}

async fn read(subject: &Subject, after: Option<Cursor>) -> Result<(Vec<EventId>, Cursor), StorageError> {
    let workspace = subject.workspace;
    let page = subject.storage.read(move |tx| {
        Box::pin(async move { events::read(tx, workspace, after.as_ref(), &EventFilter::default(), 1000).await })
    });
    let page = page.await?;
    assert!(page.caught_up);
    Ok((
        page.events.into_iter().map(|logged| logged.event.id).collect(),
        page.cursor,
    ))
}

/// Its owner works on meanwhile; what comes later is not in it.
pub async fn a_backup_holds_one_moment(subject: &Subject) {
    let session = subject.session("s").await;
    let ids = subject
        .accept(vec![
            subject.outbound(&session, Lane::Otp, "a@lid"),
            subject.outbound(&session, Lane::Campaign, "b@lid"),
        ])
        .await;
    assert!(subject.send(&session, ids[0]).await);
    let file = back_up(subject, "moment").await;
    subject
        .accept(vec![subject.outbound(&session, Lane::Otp, "c@lid")])
        .await;
    let (restored, said) = restore(subject, file, keep_all()).await;
    assert_eq!((said.sessions, said.messages, said.state_dropped), (1, 2, 0));
    assert_eq!(said.made_at, subject.now());
    for id in &ids {
        let (mut before, after) = (subject.message(*id).await, restored.message(*id).await);
        before.chat_index = after.chat_index;
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
        let opened = after.open(&same_session(&restored, &session).await.keys).unwrap();
        assert_eq!(opened.body.as_deref(), Some(&b"hello"[..]));
    }
    // What is queued is sent on from there, in its lanes and with new numbers behind the old ones.
    let there = same_session(&restored, &session).await;
    assert_eq!(restored.next(&there).await, ids[1..]);
    let later = restored
        .accept(vec![restored.outbound(&there, Lane::Campaign, "d@lid")])
        .await;
    assert_eq!(restored.next(&there).await, [ids[1], later[0]]);
}

/// The old order, then what is new; a cursor from before says that it is from before.
pub async fn a_restored_feed_is_read_from_its_start_to_a_new_event(subject: &Subject) {
    let mut ids = Vec::new();
    for _ in 0..600 {
        let event = subject.event(EventKind::MessageQueued, b"{}").await;
        ids.push(event.id);
        subject.append(vec![event]).await;
    }
    let (before, cursor) = read(subject, None).await.unwrap();
    assert_eq!(before, ids);
    let file = back_up(subject, "feed").await;
    let lost = subject.event(EventKind::MessageSent, b"lost").await;
    subject.append(vec![lost]).await;
    let (_, behind_lost) = read(subject, None).await.unwrap();

    let (restored, said) = restore(subject, file, keep_all()).await;
    assert_eq!(said.events, 600);
    let new = restored.event(EventKind::MessageSent, b"new").await;
    ids.push(new.id);
    restored.append(vec![new]).await;
    let (all, end) = read(&restored, None).await.unwrap();
    assert_eq!(all, ids);
    assert_eq!(read(&restored, Some(end)).await.unwrap().0, []);
    for old in [cursor, behind_lost] {
        let refused = read(&restored, Some(old)).await;
        assert!(matches!(refused, Err(StorageError::CursorExpired)), "{refused:?}");
    }
    let nonsense = read(&restored, Some(Cursor::from_text("nonsense"))).await;
    assert!(matches!(nonsense, Err(StorageError::BadCursor)), "{nonsense:?}");

    // A second restore begins a third feed.
    let file = back_up(&restored, "again").await;
    let (_, of_second) = read(&restored, None).await.unwrap();
    let (third, _) = restore(&restored, file, keep_all()).await;
    assert_eq!(read(&third, None).await.unwrap().0, ids);
    let refused = read(&third, Some(of_second)).await;
    assert!(matches!(refused, Err(StorageError::CursorExpired)), "{refused:?}");
}

/// Row by row, and opened by the keys of its session.
pub async fn protocol_state_is_carried_by_its_owner(subject: &Subject) {
    let sessions = [subject.session("one").await, subject.session("two").await];
    for session in &sessions {
        let rows: Vec<_> = ["counter", "identity", "device"]
            .map(|kind| StateRow {
                kind: kind.to_owned(),
                key: vec![1],
                owner: None,
                rank: Some(7),
                expires_at: None,
                value: session.keys.seal_state(kind, &[1], kind.as_bytes()).unwrap(),
            })
            .into();
        let fence = session.fence;
        subject
            .write(move |tx| Box::pin(async move { wa_state::put_many(tx, &fence, &rows).await }))
            .await;
    }
    let carry: Carry = Box::new(|keys, mut row| {
        let value = keys.open_state(&row.kind, &row.key, &row.value)?;
        assert_eq!(value, row.kind.as_bytes());
        if row.kind == "counter" {
            return Ok(None);
        }
        if row.kind == "device" {
            row.value = keys.seal_state(&row.kind, &row.key, b"changed")?;
        }
        Ok(Some(row))
    });
    let file = back_up(subject, "state").await;
    let (restored, said) = restore(subject, file, carry).await;
    assert_eq!(said.state_dropped, 2);
    for session in &sessions {
        let (id, there) = (session.id, same_session(&restored, session).await);
        for (kind, expected) in [
            ("counter", None),
            ("identity", Some("identity")),
            ("device", Some("changed")),
        ] {
            let row = restored
                .read(move |tx| Box::pin(async move { wa_state::get(tx, id, kind, &[1]).await }))
                .await;
            let value = row.map(|row| there.keys.open_state(kind, &[1], &row.value).unwrap());
            assert_eq!(value.as_deref(), expected.map(str::as_bytes), "{kind}");
        }
    }
}
