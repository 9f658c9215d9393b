//! The promises of the session repository.

use std::time::Duration;

use wharf_model::{PacingPolicy, SessionStatus};

use super::Subject;
use super::subject::Linked;
use crate::sessions::{self, SessionPatch, SessionProfile, StateChange, Wanted};
use crate::{PageRequest, Place, Queue, SealError, Sealed, StorageError, wa_state};

async fn record(subject: &Subject, session: &Linked, status: SessionStatus) {
    let (fence, change) = (session.fence, StateChange::plain(status, subject.now()));
    subject
        .write(move |tx| Box::pin(async move { sessions::record_state(tx, &fence, &change).await }))
        .await;
}

async fn get(subject: &Subject, session: &Linked) -> Option<sessions::Session> {
    let (workspace, id) = (subject.workspace, session.id);
    subject.read(move |tx| Box::pin(sessions::get(tx, workspace, id))).await
}

fn state_row(session: &Linked, key: &[u8]) -> wa_state::StateRow {
    let value = session.keys.seal_state("session", key, b"ratchet").unwrap();
    wa_state::StateRow {
        kind: "session".to_owned(),
        key: key.to_vec(),
        owner: None,
        rank: None,
        expires_at: None,
        value,
    }
}

/// Every field.
pub async fn a_session_reads_back_as_it_was_made(subject: &Subject) {
    let mut new = subject.new_session("support");
    let (keys, rows) = subject.storage.new_session_keys(new.id).unwrap();
    new.keys = rows;
    new.pacing = Some(PacingPolicy {
        per_minute: 7,
        ..PacingPolicy::default()
    });
    new.metadata = Some(keys.seal(&Place::session(new.id, "metadata"), b"{\"a\":1}").unwrap());
    new.device = Some("{}".to_owned());
    let (made, id, workspace) = (new.clone(), new.id, subject.workspace);
    subject
        .write(move |tx| Box::pin(async move { sessions::create(tx, &made).await }))
        .await;
    let read = subject
        .read(move |tx| Box::pin(sessions::get(tx, workspace, id)))
        .await
        .unwrap();
    assert_eq!(
        (read.name.as_str(), read.status, read.wanted),
        ("support", SessionStatus::NotStarted, Wanted::Stopped)
    );
    assert_eq!(
        (&read.pacing, &read.metadata, &read.device),
        (&new.pacing, &new.metadata, &new.device)
    );
    let keys = subject.storage.session_keys(id).await.unwrap();
    assert_eq!(
        keys.open(&Place::session(id, "metadata"), &read.metadata.unwrap())
            .unwrap(),
        b"{\"a\":1}"
    );
}

/// Strangers choose some texts; the character 0, which PostgreSQL has no room for, is no way to make a unit fail.
pub async fn any_text_can_be_stored(subject: &Subject) {
    let new = subject.new_session("a\0b \u{1f6a2}");
    let (workspace, id) = (subject.workspace, new.id);
    subject
        .write(move |tx| Box::pin(async move { sessions::create(tx, &new).await }))
        .await;
    let stored = subject
        .read(move |tx| Box::pin(sessions::get(tx, workspace, id)))
        .await
        .unwrap();
    let name = stored.name;
    assert!(name.starts_with('a') && name.ends_with("b \u{1f6a2}"), "{name:?}");
}

/// Not by id, not in lists, not for writing.
pub async fn another_workspace_sees_nothing(subject: &Subject) {
    let (session, other) = (subject.session("mine").await, subject.other_workspace().await);
    let (id, now) = (session.id, subject.now());
    assert!(
        subject
            .read(move |tx| Box::pin(sessions::get(tx, other, id)))
            .await
            .is_none()
    );
    let list = subject
        .read(move |tx| Box::pin(async move { sessions::list(tx, other, &PageRequest::first(10)).await }))
        .await;
    assert!(list.rows.is_empty());
    let write = subject
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(sessions::set_wanted(tx, other, id, Wanted::Connected, now))
        })
        .await;
    assert!(matches!(write, Err(StorageError::NotFound(_))), "{write:?}");
    assert!(matches!(
        subject.storage.delete_session(other, id).await,
        Err(StorageError::NotFound(_))
    ));
    assert_eq!(get(subject, &session).await.unwrap().wanted, Wanted::Stopped);
}

/// `ready_at` is when it was ready last, whatever came after.
pub async fn each_state_keeps_its_own_time(subject: &Subject) {
    let session = subject.session("s").await;
    record(subject, &session, SessionStatus::Authenticated).await;
    let authenticated = subject.now();
    subject.clock.advance(Duration::from_secs(1));
    record(subject, &session, SessionStatus::Ready).await;
    let ready = subject.now();
    subject.clock.advance(Duration::from_secs(1));
    record(subject, &session, SessionStatus::Disconnected).await;
    let read = get(subject, &session).await.unwrap();
    assert_eq!(
        (read.authenticated_at, read.ready_at),
        (Some(authenticated), Some(ready))
    );
    assert_eq!(
        (read.disconnected_at, read.status_since),
        (Some(subject.now()), subject.now())
    );
    assert_eq!((read.status, read.auth_failed_at), (SessionStatus::Disconnected, None));
}

/// A claim raises the epoch, and the owner before it is fenced out.
pub async fn a_replaced_owner_cannot_write(subject: &Subject) {
    let session = subject.session("s").await;
    let id = session.id;
    let newer = subject
        .write(move |tx| Box::pin(sessions::claim(tx, id, "other node", None)))
        .await;
    assert_eq!(newer.epoch, session.fence.epoch + 1);
    let (fence, change) = (session.fence, StateChange::plain(SessionStatus::Ready, subject.now()));
    let stale = subject
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { sessions::record_state(tx, &fence, &change).await })
        })
        .await;
    assert!(matches!(stale, Err(StorageError::StaleEpoch)), "{stale:?}");
    assert_eq!(get(subject, &session).await.unwrap().status, SessionStatus::NotStarted);
}

/// And leaves the rest.
pub async fn a_patch_changes_what_it_names(subject: &Subject) {
    let session = subject.session("old").await;
    let (workspace, id, now) = (subject.workspace, session.id, subject.now());
    let sealed = session.keys.seal(&Place::session(id, "metadata"), b"{}").unwrap();
    let set = SessionPatch {
        metadata: Some(Some(sealed)),
        ..SessionPatch::default()
    };
    subject
        .write(move |tx| Box::pin(async move { sessions::patch(tx, workspace, id, &set, now).await }))
        .await;
    let rename = SessionPatch {
        name: Some("new".to_owned()),
        ..SessionPatch::default()
    };
    subject
        .write(move |tx| Box::pin(async move { sessions::patch(tx, workspace, id, &rename, now).await }))
        .await;
    let read = get(subject, &session).await.unwrap();
    assert!(read.name == "new" && read.metadata.is_some());
    let clear = SessionPatch {
        metadata: Some(None),
        ..SessionPatch::default()
    };
    subject
        .write(move |tx| Box::pin(async move { sessions::patch(tx, workspace, id, &clear, now).await }))
        .await;
    assert_eq!(get(subject, &session).await.unwrap().metadata, None);
}

/// What the supervisor starts, and nothing else.
pub async fn wanted_sessions_are_listed_in_order_of_age(subject: &Subject) {
    let (first, second) = (subject.session("first").await, subject.session("second").await);
    subject.session("never").await;
    let (workspace, now) = (subject.workspace, subject.now());
    for id in [second.id, first.id] {
        subject
            .write(move |tx| Box::pin(sessions::set_wanted(tx, workspace, id, Wanted::Connected, now)))
            .await;
    }
    let wanted = subject.read(|tx| Box::pin(sessions::wanted(tx))).await;
    assert_eq!(
        wanted.iter().map(|session| session.id).collect::<Vec<_>>(),
        [first.id, second.id]
    );
}

/// Newest first, however small the pages.
pub async fn a_list_goes_through_every_session_once(subject: &Subject) {
    let mut made = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        made.insert(0, subject.session(name).await.id);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (workspace, page) = (subject.workspace, PageRequest { after, limit: 2 });
        let page = subject
            .read(move |tx| Box::pin(async move { sessions::list(tx, workspace, &page).await }))
            .await;
        assert!(page.rows.len() <= 2);
        seen.extend(page.rows.iter().map(|session| session.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
}

/// A mixed-up cursor is an error and not a gap.
pub async fn a_cursor_of_another_list_is_refused(subject: &Subject) {
    let end = {
        let workspace = subject.workspace;
        subject
            .read(move |tx| Box::pin(crate::events::end(tx, workspace)))
            .await
    };
    for text in [end.as_str(), "", "nonsense", "00000000"] {
        let (workspace, page) = (
            subject.workspace,
            PageRequest {
                after: Some(crate::Cursor::from_text(text)),
                limit: 2,
            },
        );
        let refused = subject
            .storage
            .read(move |tx| Box::pin(async move { sessions::list(tx, workspace, &page).await.map(drop) }))
            .await;
        assert!(matches!(refused, Err(StorageError::BadCursor)), "{text}: {refused:?}");
    }
}

/// Its keys at once, its rows bit by bit.
pub async fn a_deleted_session_is_gone_and_its_rows_follow(subject: &Subject) {
    let session = subject.session("s").await;
    let lanes = [wharf_model::Lane::Otp, wharf_model::Lane::Campaign];
    let ids = subject
        .accept(
            lanes
                .map(|lane| subject.outbound(&session, lane, "a@s.whatsapp.net"))
                .to_vec(),
        )
        .await;
    let (fence, row) = (session.fence, state_row(&session, b"k"));
    subject
        .write(move |tx| Box::pin(async move { wa_state::put(tx, &fence, &row).await }))
        .await;
    subject
        .storage
        .delete_session(subject.workspace, session.id)
        .await
        .unwrap();

    assert!(get(subject, &session).await.is_none());
    let keys = subject.storage.session_keys(session.id).await;
    assert!(matches!(keys, Err(StorageError::Seal(SealError::Shredded))), "{keys:?}");
    let id = session.id;
    assert_eq!(
        subject
            .read(move |tx| Box::pin(wa_state::count(tx, id, "session")))
            .await,
        0
    );
    let row = state_row(&session, b"late");
    let late = subject
        .storage
        .write(Queue::SignalState, move |tx| {
            Box::pin(async move { wa_state::put(tx, &fence, &row).await })
        })
        .await;
    assert!(matches!(late, Err(StorageError::StaleEpoch)), "{late:?}");

    let mut purged = Vec::new();
    while purged.last() != Some(&0) {
        purged.push(subject.write(|tx| Box::pin(sessions::purge_deleted(tx, 1))).await);
    }
    assert_eq!(purged, [1, 1, 1, 0]);
    let (workspace, first) = (subject.workspace, ids[0]);
    assert!(
        subject
            .read(move |tx| Box::pin(crate::messages::get(tx, workspace, first)))
            .await
            .is_none()
    );
}

/// Where sessions come and go by the second, they must not go more slowly than they come.
pub async fn many_deleted_sessions_go_in_one_unit(subject: &Subject) {
    for n in 0..5 {
        let session = subject.session(&n.to_string()).await;
        let messages = (0..2).map(|_| subject.outbound(&session, wharf_model::Lane::Otp, "a@s.whatsapp.net"));
        subject.accept(messages.collect()).await;
        let deleting = subject.storage.delete_session(subject.workspace, session.id);
        deleting.await.unwrap();
    }
    let purge = async |limit| {
        subject
            .write(move |tx| Box::pin(sessions::purge_deleted(tx, limit)))
            .await
    };
    assert_eq!((purge(4).await, purge(100).await, purge(100).await), (4, 11, 0));
}

/// Unlinking for good costs the link, not the history.
pub async fn signal_state_can_be_shredded_and_messages_stay(subject: &Subject) {
    let session = subject.session("s").await;
    let profile = SessionProfile {
        phone_number: Some("+15551234567".to_owned()),
        ..SessionProfile::default()
    };
    let (fence, sealed) = (session.fence, profile.seal(&session.keys).unwrap());
    let (row, now) = (state_row(&session, b"k"), subject.now());
    let state = row.value.clone();
    subject
        .write(move |tx| {
            Box::pin(async move {
                sessions::set_profile(tx, &fence, Some(&sealed), now).await?;
                wa_state::put(tx, &fence, &row).await?;
                sessions::set_unlinked(tx, &fence, Some(now), Some(now)).await
            })
        })
        .await;
    assert_eq!(
        subject
            .read(move |tx| Box::pin(sessions::due_for_shredding(tx, now)))
            .await,
        [session.id]
    );
    subject.storage.shred_session_signal_state(session.id).await.unwrap();
    assert!(
        subject
            .read(move |tx| Box::pin(sessions::due_for_shredding(tx, now)))
            .await
            .is_empty()
    );
    let keys = subject.storage.session_keys(session.id).await.unwrap();
    assert_eq!(keys.open_state("session", b"k", &state), Err(SealError::OtherKey));
    let stored: Sealed = get(subject, &session).await.unwrap().profile.unwrap();
    assert_eq!(SessionProfile::open(&keys, &stored).unwrap(), profile);
    let fresh = keys.seal_state("session", b"k", b"new").unwrap();
    assert_eq!(keys.open_state("session", b"k", &fresh).unwrap(), b"new");
}

/// Two sessions that are the same linked device would replace each other at WhatsApp for ever.
pub async fn a_linked_device_is_found_while_it_is_linked(subject: &Subject) {
    let session = subject.session("s").await;
    let (fence, now) = (session.fence, subject.now());
    let found = || subject.write(|tx| Box::pin(sessions::linked_as(tx, "3f1c09a2")));
    assert_eq!(found().await, None);
    subject
        .write(move |tx| Box::pin(async move { sessions::set_fingerprint(tx, &fence, "3f1c09a2").await }))
        .await;
    let holder = Some((subject.workspace, session.id));
    assert_eq!(found().await, holder);
    let unlink =
        |at| subject.write(move |tx| Box::pin(async move { sessions::set_unlinked(tx, &fence, at, None).await }));
    unlink(Some(now)).await;
    assert_eq!(found().await, None, "an unlinked device may be linked elsewhere");
    subject.storage.shred_session_signal_state(session.id).await.unwrap();
    unlink(None).await;
    assert_eq!(found().await, None, "what was shredded is no device");
    subject
        .write(move |tx| Box::pin(async move { sessions::set_fingerprint(tx, &fence, "3f1c09a2").await }))
        .await;
    assert_eq!(found().await, holder);
    subject
        .storage
        .delete_session(subject.workspace, session.id)
        .await
        .unwrap();
    assert_eq!(found().await, None, "a deleted session is nobody");
}

/// Also when they come at the same moment.
pub async fn of_two_that_bring_a_device_in_one_finds_the_other(subject: &Subject) {
    let bring = |name| {
        let mut new = subject.new_session(name);
        new.fingerprint = Some("3f1c09a2".to_owned());
        subject.write(move |tx| {
            Box::pin(async move {
                let is_first = sessions::linked_as(tx, "3f1c09a2").await?.is_none();
                if is_first {
                    sessions::create(tx, &new).await?;
                }
                Ok(is_first)
            })
        })
    };
    let (one, two) = tokio::join!(bring("one"), bring("two"));
    assert_ne!(one, two);
}

/// Copied, and on its way: both are said until the keys are gone.
pub async fn a_session_says_where_its_credentials_went(subject: &Subject) {
    let session = subject.session("s").await;
    let (workspace, id, fence, now) = (subject.workspace, session.id, session.fence, subject.now());
    subject
        .write(move |tx| {
            Box::pin(async move {
                sessions::note_export(tx, workspace, id, now).await?;
                sessions::set_moving(tx, &fence, Some(now)).await
            })
        })
        .await;
    let row = get(subject, &session).await.unwrap();
    assert_eq!((row.exported_at, row.moving_since), (Some(now), Some(now)));
    let (storage, other) = (&subject.storage, subject.other_workspace().await);
    let refused = storage.write(Queue::Normal, move |tx| {
        Box::pin(sessions::note_export(tx, other, id, now))
    });
    assert!(matches!(refused.await, Err(StorageError::NotFound(_))));
    let stale = sessions::Fence {
        epoch: fence.epoch - 1,
        ..fence
    };
    let refused = storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { sessions::set_moving(tx, &stale, None).await })
    });
    assert!(matches!(refused.await, Err(StorageError::StaleEpoch)));
    subject.storage.shred_session_signal_state(id).await.unwrap();
    let row = get(subject, &session).await.unwrap();
    assert_eq!((row.exported_at, row.moving_since), (None, None));
}

/// With the reasons.
pub async fn history_is_newest_first(subject: &Subject) {
    let session = subject.session("s").await;
    record(subject, &session, SessionStatus::Ready).await;
    let lost = StateChange {
        reason: Some("network".to_owned()),
        next_attempt_at: Some(subject.now()),
        ..StateChange::plain(SessionStatus::Disconnected, subject.now())
    };
    let fence = session.fence;
    subject
        .write(move |tx| Box::pin(async move { sessions::record_state(tx, &fence, &lost).await }))
        .await;
    let (workspace, id) = (subject.workspace, session.id);
    let page = subject
        .read(move |tx| Box::pin(async move { sessions::history(tx, workspace, id, &PageRequest::first(10)).await }))
        .await;
    let read: Vec<_> = page
        .rows
        .iter()
        .map(|entry| (entry.status, entry.reason.as_deref()))
        .collect();
    assert_eq!(
        read,
        [
            (SessionStatus::Disconnected, Some("network")),
            (SessionStatus::Ready, None)
        ]
    );
}
