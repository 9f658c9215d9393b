//! The promises of the API key repository.

use std::time::Duration;

use wharf_model::{ApiKeyId, SessionId, SystemEdges};

use super::Subject;
use crate::api_keys::changes::{self, KeyChange, NotIssued};
use crate::api_keys::{self, ApiKey, FoundKey, KeyUsage, NewApiKey, NotRotated, Replaces, Rotation, Unused};
use crate::audit::{self, Action, AuditEntry, Requester};
use crate::{PageRequest, Queue, StorageError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn new_key(subject: &Subject, hash: u8) -> NewApiKey {
    NewApiKey {
        id: ApiKeyId::generate(&SystemEdges, &SystemEdges),
        workspace_id: subject.workspace,
        label: "checkout".to_owned(),
        prefix: "wharf_test_7Q2m".to_owned(),
        hash: [hash; 32],
        scopes: vec!["messages:send".to_owned(), "events:read".to_owned()],
        expires_at: Some(subject.now() + Duration::from_secs(60)),
        ips: Some(vec!["198.51.100.0/24".to_owned()]),
        sessions: Some(vec![SessionId::generate(&SystemEdges, &SystemEdges)]),
        plan: None,
        created_by: None,
        created_at: subject.now(),
    }
}

async fn insert(subject: &Subject, key: &NewApiKey) -> Result<(), StorageError> {
    let key = key.clone();
    subject
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { api_keys::insert(tx, &key).await })
        })
        .await
}

async fn issue(subject: &Subject, key: NewApiKey) -> Result<ApiKey, StorageError> {
    subject
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { changes::issue(tx, &key, &requester()).await })
        })
        .await
}

fn requester() -> Requester {
    Requester {
        who: "key_1".to_owned(),
        address: Some("198.51.100.7".to_owned()),
        request_id: Some("req_1".to_owned()),
    }
}

/// What the audit log says, newest first.
async fn noted(subject: &Subject) -> Vec<AuditEntry> {
    let workspace = subject.workspace;
    let page = subject
        .read(move |tx| Box::pin(async move { audit::list(tx, workspace, &PageRequest::first(10)).await }))
        .await;
    page.rows
}

async fn find(subject: &Subject, hash: u8) -> Option<FoundKey> {
    subject
        .read(move |tx| Box::pin(async move { api_keys::find_by_hash(tx, &[hash; 32]).await }))
        .await
}

async fn rotate(subject: &Subject, id: ApiKeyId, hash: u8, overlap: Duration) -> ApiKey {
    let rotation = rotation(subject, hash, overlap);
    try_rotate(subject, id, rotation).await.unwrap()
}

async fn replace_latest(subject: &Subject, id: ApiKeyId, hash: u8) -> Result<ApiKey, StorageError> {
    let rotation = Rotation {
        replaces: Replaces::Latest,
        ..rotation(subject, hash, DAY)
    };
    try_rotate(subject, id, rotation).await
}

async fn try_rotate(subject: &Subject, id: ApiKeyId, rotation: Rotation) -> Result<ApiKey, StorageError> {
    let (storage, workspace) = (&subject.storage, subject.workspace);
    storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { api_keys::rotate(tx, workspace, id, &rotation).await })
        })
        .await
}

fn why(refused: Result<ApiKey, StorageError>) -> NotRotated {
    *refused.unwrap_err().rejection::<NotRotated>().unwrap()
}

fn rotation(subject: &Subject, hash: u8, overlap: Duration) -> Rotation {
    Rotation {
        prefix: format!("wharf_test_{hash:08}"),
        hash: [hash; 32],
        replaces: Replaces::InUse {
            until: subject.now() + overlap,
        },
        at: subject.now(),
    }
}

/// With everything that a check needs.
pub async fn a_key_is_found_by_its_hash(subject: &Subject) {
    let new = new_key(subject, 1);
    insert(subject, &new).await.unwrap();
    let FoundKey { key: found, text_until } = find(subject, 1).await.unwrap();
    assert_eq!((text_until, found.previous_until), (None, None));
    assert_eq!(
        (found.id, found.workspace_id, &found.scopes),
        (new.id, new.workspace_id, &new.scopes)
    );
    assert_eq!(
        (&found.ips, &found.sessions, found.expires_at),
        (&new.ips, &new.sessions, new.expires_at)
    );
    assert!(find(subject, 2).await.is_none());
    let (workspace, other) = (subject.workspace, subject.other_workspace().await);
    let list = |workspace| {
        subject.read(move |tx| Box::pin(async move { api_keys::list(tx, workspace, &PageRequest::first(10)).await }))
    };
    assert_eq!(list(workspace).await.rows, [found]);
    assert!(list(other).await.rows.is_empty());
}

/// In batches, and an old batch does not turn the time back.
pub async fn usage_is_added_up(subject: &Subject) {
    let new = new_key(subject, 1);
    insert(subject, &new).await.unwrap();
    let late = subject.now() + Duration::from_secs(5);
    for (count, last_used_at) in [(3, late), (4, subject.now())] {
        let batch = vec![KeyUsage {
            key: new.id,
            count,
            last_used_at,
        }];
        subject
            .write(move |tx| Box::pin(async move { api_keys::record_usage(tx, &batch).await }))
            .await;
    }
    let (workspace, id) = (subject.workspace, new.id);
    let key = subject
        .read(move |tx| Box::pin(api_keys::get(tx, workspace, id)))
        .await
        .unwrap();
    assert_eq!((key.usage_count, key.last_used_at), (7, Some(late)));
}

/// And only its own workspace can revoke it.
pub async fn a_revoked_key_keeps_its_first_time(subject: &Subject) {
    let new = new_key(subject, 1);
    insert(subject, &new).await.unwrap();
    let (workspace, other, id, first) = (
        subject.workspace,
        subject.other_workspace().await,
        new.id,
        subject.now(),
    );
    let foreign = subject
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(api_keys::revoke(tx, other, id, first))
        })
        .await;
    assert!(matches!(foreign, Err(StorageError::NotFound(_))), "{foreign:?}");
    for is_first in [true, false] {
        let now = subject.now();
        let revoked = subject
            .write(move |tx| Box::pin(api_keys::revoke(tx, workspace, id, now)))
            .await;
        assert_eq!(revoked, is_first);
        subject.clock.advance(Duration::from_secs(1));
    }
    let found = find(subject, 1).await.unwrap();
    assert_eq!((found.key.revoked_at, found.key.updated_at), (Some(first), first));
}

/// The error names the column and not the value.
pub async fn a_hash_is_unique(subject: &Subject) {
    insert(subject, &new_key(subject, 1)).await.unwrap();
    let again = insert(subject, &new_key(subject, 1)).await.unwrap_err();
    assert!(
        matches!(&again, StorageError::Conflict { constraint } if constraint.contains("hash")),
        "{again:?}"
    );
}

/// It stays the same key; the text before tells when it ends, and no text outlives the key.
pub async fn a_rotated_key_is_found_by_both_of_its_texts(subject: &Subject) {
    let new = new_key(subject, 1);
    insert(subject, &new).await.unwrap();
    let (other, id, foreign) = (subject.other_workspace().await, new.id, rotation(subject, 9, DAY));
    let refused = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { api_keys::rotate(tx, other, id, &foreign).await })
    });
    let refused = refused.await;
    assert!(matches!(refused, Err(StorageError::NotFound(_))), "{refused:?}");

    let overlap = Duration::from_secs(30);
    let until = subject.now() + overlap;
    let rotated = rotate(subject, id, 2, overlap).await;
    assert_eq!((rotated.id, &rotated.scopes), (id, &new.scopes));
    assert_eq!((&rotated.ips, &rotated.sessions), (&new.ips, &new.sessions));
    assert_eq!(rotated.prefix, "wharf_test_00000002");
    assert_eq!(rotated.previous_until, Some(until));
    let (own, before) = (find(subject, 2).await.unwrap(), find(subject, 1).await.unwrap());
    assert_eq!((own.text_until, before.text_until), (None, Some(until)));
    assert_eq!((&own.key, &before.key), (&rotated, &rotated));

    // The key itself ends a minute after it was made.
    let rotated = rotate(subject, id, 3, DAY).await;
    assert_eq!(rotated.previous_until, new.expires_at);
}

/// And its hash may be used again: nothing holds it.
pub async fn a_second_rotation_ends_the_text_before_the_last(subject: &Subject) {
    let new = new_key(subject, 1);
    insert(subject, &new).await.unwrap();
    rotate(subject, new.id, 2, DAY).await;
    rotate(subject, new.id, 3, DAY).await;
    assert!(find(subject, 1).await.is_none());
    assert!(find(subject, 2).await.unwrap().text_until.is_some());
    assert_eq!(find(subject, 3).await.unwrap().text_until, None);
    let other = new_key(subject, 4);
    insert(subject, &other).await.unwrap();
    let (workspace, id, taken) = (subject.workspace, other.id, rotation(subject, 3, DAY));
    let again = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { api_keys::rotate(tx, workspace, id, &taken).await })
    });
    let again = again.await;
    assert!(matches!(again, Err(StorageError::Conflict { .. })), "{again:?}");
    rotate(subject, other.id, 1, DAY).await;
    assert_eq!(find(subject, 1).await.unwrap().key.id, other.id);
}

/// Revoked or expired: it keeps its text, and what it was found by.
pub async fn a_key_that_has_ended_is_not_rotated(subject: &Subject) {
    let (revoked, expired) = (new_key(subject, 1), new_key(subject, 2));
    for key in [&revoked, &expired] {
        insert(subject, key).await.unwrap();
    }
    let (workspace, id, now) = (subject.workspace, revoked.id, subject.now());
    subject
        .write(move |tx| Box::pin(api_keys::revoke(tx, workspace, id, now)))
        .await;
    let refused = try_rotate(subject, revoked.id, rotation(subject, 3, DAY)).await;
    assert_eq!(why(refused), NotRotated::Ended);
    assert_eq!(why(replace_latest(subject, revoked.id, 3).await), NotRotated::Ended);
    subject.clock.advance(Duration::from_secs(60));
    let refused = try_rotate(subject, expired.id, rotation(subject, 4, DAY)).await;
    assert_eq!(why(refused), NotRotated::Ended);
    for (hash, id) in [(1, revoked.id), (2, expired.id)] {
        let found = find(subject, hash).await.unwrap();
        assert_eq!((found.key.id, found.key.previous_until), (id, None));
    }
    for hash in [3, 4] {
        assert!(find(subject, hash).await.is_none());
    }
}

/// The one of the last rotation goes; the one before it keeps its time, and has to have some left.
pub async fn a_text_that_nobody_received_is_replaced(subject: &Subject) {
    let new = NewApiKey {
        expires_at: None,
        ..new_key(subject, 1)
    };
    insert(subject, &new).await.unwrap();
    assert_eq!(why(replace_latest(subject, new.id, 2).await), NotRotated::NoOverlap);
    let until = subject.now() + DAY;
    rotate(subject, new.id, 2, DAY).await;
    subject.clock.advance(Duration::from_secs(1));
    let replaced = replace_latest(subject, new.id, 3).await.unwrap();
    assert_eq!(
        (replaced.id, replaced.previous_until, replaced.prefix.as_str()),
        (new.id, Some(until), "wharf_test_00000003")
    );
    assert!(find(subject, 2).await.is_none());
    assert_eq!(find(subject, 1).await.unwrap().text_until, Some(until));
    assert_eq!(find(subject, 3).await.unwrap().text_until, None);
    subject.clock.advance(DAY - Duration::from_secs(1));
    assert_eq!(why(replace_latest(subject, new.id, 4).await), NotRotated::NoOverlap);
    assert!(find(subject, 4).await.is_none());
    assert_eq!(find(subject, 3).await.unwrap().text_until, None);
}

/// Whoever comes last has the key's own text, and the one before him the text that ends.
pub async fn of_many_rotations_the_last_two_texts_are_left(subject: &Subject) {
    let new = new_key(subject, 1);
    insert(subject, &new).await.unwrap();
    let (workspace, id) = (subject.workspace, new.id);
    let rotating = (2..10_u8).map(|hash| {
        let rotation = rotation(subject, hash, DAY);
        subject.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { api_keys::rotate(tx, workspace, id, &rotation).await })
        })
    });
    for rotated in futures::future::join_all(rotating).await {
        rotated.unwrap();
    }
    let mut found = Vec::new();
    for hash in 1..10 {
        found.extend(find(subject, hash).await);
    }
    found.sort_by_key(|found| found.text_until);
    let left: Vec<_> = found.iter().map(|found| found.text_until.is_some()).collect();
    assert_eq!(left, [false, true]);
}

/// Neither a revoked nor an expired one: those harm nobody.
pub async fn an_unused_key_is_one_that_was_neither_used_nor_made_lately(subject: &Subject) {
    let keys: Vec<_> = (1..=5).map(|hash| new_key(subject, hash)).collect();
    for (index, key) in keys.iter().enumerate() {
        // The third expires in time; the others do not.
        let expires_at = key.expires_at.filter(|_| index == 2);
        let key = NewApiKey {
            expires_at,
            ..key.clone()
        };
        insert(subject, &key).await.unwrap();
    }
    let (workspace, revoked, now) = (subject.workspace, keys[3].id, subject.now());
    subject
        .write(move |tx| Box::pin(api_keys::revoke(tx, workspace, revoked, now)))
        .await;
    subject.clock.advance(DAY);
    let batch = vec![KeyUsage {
        key: keys[4].id,
        count: 1,
        last_used_at: subject.now(),
    }];
    subject
        .write(move |tx| Box::pin(async move { api_keys::record_usage(tx, &batch).await }))
        .await;
    let unused = async |since| {
        let (workspace, now, page) = (subject.workspace, subject.now(), PageRequest::first(10));
        let unused = Unused { since, now };
        let listed = subject
            .read(move |tx| Box::pin(async move { api_keys::list_unused(tx, workspace, unused, &page).await }))
            .await;
        listed.rows.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };
    assert_eq!(unused(subject.now()).await, [keys[1].id, keys[0].id]);
    let moment = Duration::from_millis(1);
    assert_eq!(
        unused(subject.now() + moment).await,
        [keys[4].id, keys[1].id, keys[0].id]
    );
    assert!(unused(now).await.is_empty(), "made then is not made before");
    let other = subject.other_workspace().await;
    let (now, page) = (subject.now(), PageRequest::first(10));
    let unused = Unused { since: now, now };
    let foreign = subject
        .read(move |tx| Box::pin(async move { api_keys::list_unused(tx, other, unused, &page).await }))
        .await;
    assert!(foreign.rows.is_empty());
}

/// Of one that is refused nothing is stored, and nothing is noted.
pub async fn a_key_that_would_be_of_no_use_is_not_issued(subject: &Subject) {
    let known = subject.session("s").await.id;
    let id = SessionId::generate(&SystemEdges, &SystemEdges);
    let limited = |hash, sessions| NewApiKey {
        sessions: Some(sessions),
        ..new_key(subject, hash)
    };
    let expired = NewApiKey {
        expires_at: Some(subject.now()),
        ..limited(1, vec![known])
    };
    let unknown = NotIssued::UnknownSession { index: 1, id };
    for (new, why) in [(expired, NotIssued::Expired), (limited(2, vec![known, id]), unknown)] {
        let refused = issue(subject, new).await.unwrap_err();
        assert_eq!(refused.rejection::<NotIssued>(), Some(&why));
    }
    let foreign = NewApiKey {
        workspace_id: subject.other_workspace().await,
        ..limited(2, vec![known])
    };
    let refused = issue(subject, foreign).await.unwrap_err();
    let elsewhere = NotIssued::UnknownSession { index: 0, id: known };
    assert_eq!(refused.rejection::<NotIssued>(), Some(&elsewhere));
    for hash in [1, 2] {
        assert!(find(subject, hash).await.is_none());
    }
    assert!(noted(subject).await.is_empty());
    let issued = issue(subject, limited(3, vec![known])).await.unwrap();
    assert_eq!(find(subject, 3).await.unwrap().key, issued);
}

/// By whom, and when; what changes nothing is not noted.
pub async fn what_is_done_with_a_key_is_noted_once(subject: &Subject) {
    let new = NewApiKey {
        sessions: None,
        ..new_key(subject, 1)
    };
    let (id, at) = (new.id, subject.now());
    issue(subject, new).await.unwrap();
    let change = KeyChange {
        workspace: subject.workspace,
        key: id,
        by: requester(),
    };
    let (rotated, text) = (change.clone(), rotation(subject, 2, DAY));
    subject
        .write(move |tx| Box::pin(async move { changes::rotate(tx, rotated, &text).await }))
        .await;
    let changed = change.clone();
    subject
        .write(move |tx| Box::pin(changes::set_plan(tx, changed, None, at)))
        .await;
    for _ in 0..2 {
        let (revoked, now) = (change.clone(), subject.now());
        subject
            .write(move |tx| Box::pin(changes::revoke(tx, revoked, now)))
            .await;
        subject.clock.advance(Duration::from_secs(1));
    }
    let text = rotation(subject, 3, DAY);
    let refused = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { changes::rotate(tx, change, &text).await })
    });
    assert_eq!(why(refused.await), NotRotated::Ended);
    let entry = |action| AuditEntry {
        workspace: subject.workspace,
        at,
        by: requester(),
        action,
        session: None,
        api_key: Some(id),
        plan: None,
    };
    let expected = [
        Action::ApiKeyRevoked,
        Action::ApiKeyChanged,
        Action::ApiKeyRotated,
        Action::ApiKeyCreated,
    ];
    assert_eq!(noted(subject).await, expected.map(entry));
}
