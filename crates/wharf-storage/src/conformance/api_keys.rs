//! The promises of the API key repository.

use std::time::Duration;

use wharf_model::{ApiKeyId, SessionId, SystemEdges};

use super::Subject;
use crate::api_keys::{self, KeyUsage, NewApiKey};
use crate::{PageRequest, Queue, StorageError};

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

/// With everything that a check needs.
pub async fn a_key_is_found_by_its_hash(subject: &Subject) {
    let new = new_key(subject, 1);
    insert(subject, &new).await.unwrap();
    let found = subject
        .read(|tx| Box::pin(api_keys::find_by_hash(tx, &[1; 32])))
        .await
        .unwrap();
    assert_eq!(
        (found.id, found.workspace_id, &found.scopes),
        (new.id, new.workspace_id, &new.scopes)
    );
    assert_eq!(
        (&found.ips, &found.sessions, found.expires_at),
        (&new.ips, &new.sessions, new.expires_at)
    );
    assert!(
        subject
            .read(|tx| Box::pin(api_keys::find_by_hash(tx, &[2; 32])))
            .await
            .is_none()
    );
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
    for _ in 0..2 {
        let now = subject.now();
        subject
            .write(move |tx| Box::pin(api_keys::revoke(tx, workspace, id, now)))
            .await;
        subject.clock.advance(Duration::from_secs(1));
    }
    let key = subject
        .read(|tx| Box::pin(api_keys::find_by_hash(tx, &[1; 32])))
        .await
        .unwrap();
    assert_eq!(key.revoked_at, Some(first));
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
