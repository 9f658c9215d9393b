//! The promises of the vault.

use std::time::Duration;

use super::Subject;
use crate::vault::{self, Kept, NewKept, VaultHash};

const HOUR: Duration = Duration::from_secs(3600);
const STRING: &[u8] = b"BRAND~synthetic";

/// Keeps a string under an id, with a link.
async fn keep(subject: &Subject, id: &str, link: Option<&str>) {
    let (session, hash) = (subject.session(id).await, VaultHash::of(id));
    let keys = subject.storage.workspace_keys(subject.workspace).await.unwrap();
    let new = NewKept {
        hash,
        workspace: subject.workspace,
        session: Some(session.id),
        content: vault::seal(&keys, hash, STRING).unwrap(),
        link: link.map(VaultHash::of),
        expires_at: subject.now() + HOUR,
        created_at: subject.now(),
    };
    subject
        .write(move |tx| Box::pin(async move { vault::insert(tx, &new).await }))
        .await;
}

async fn find(subject: &Subject, workspace: wharf_model::WorkspaceId, id: &str) -> Option<Kept> {
    let (hash, now) = (VaultHash::of(id), subject.now());
    subject
        .read(move |tx| Box::pin(vault::find(tx, workspace, hash, now)))
        .await
}

/// And for nobody else.
pub async fn a_string_is_found_by_its_id_until_it_expires(subject: &Subject) {
    keep(subject, "first", None).await;
    let kept = find(subject, subject.workspace, "first").await.unwrap();
    let keys = subject.storage.workspace_keys(subject.workspace).await.unwrap();
    assert_eq!(kept.open(&keys).unwrap(), STRING);
    assert!(find(subject, subject.workspace, "second").await.is_none());
    assert!(find(subject, subject.other_workspace().await, "first").await.is_none());
    subject.clock.advance(HOUR);
    assert!(find(subject, subject.workspace, "first").await.is_none());
}

/// The string stays for those who have its id.
pub async fn a_link_works_once(subject: &Subject) {
    keep(subject, "first", Some("token")).await;
    let take = async |token: &str| {
        let (link, now) = (VaultHash::of(token), subject.now());
        subject.write(move |tx| Box::pin(vault::take_link(tx, link, now))).await
    };
    assert!(take("another").await.is_none());
    let taken = take("token").await.unwrap();
    let keys = subject.storage.workspace_keys(taken.workspace).await.unwrap();
    assert_eq!(taken.open(&keys).unwrap(), STRING);
    assert!(take("token").await.is_none());
    assert!(find(subject, subject.workspace, "first").await.is_some());
    keep(subject, "second", Some("late")).await;
    subject.clock.advance(HOUR);
    assert!(take("late").await.is_none());
}

/// What is over is cleared away, bit by bit, and what is deleted is gone at once.
pub async fn a_string_that_is_over_is_cleared_away(subject: &Subject) {
    for id in ["a", "b", "c"] {
        keep(subject, id, None).await;
    }
    let (workspace, hash) = (subject.workspace, VaultHash::of("a"));
    let other = subject.other_workspace().await;
    for (of, expected) in [(other, false), (workspace, true), (workspace, false)] {
        let deleted = subject.write(move |tx| Box::pin(vault::delete(tx, of, hash))).await;
        assert_eq!(deleted, expected);
    }
    let prune = async || {
        let now = subject.now();
        subject.write(move |tx| Box::pin(vault::prune(tx, now, 1))).await
    };
    assert_eq!(prune().await, 0);
    subject.clock.advance(HOUR);
    assert_eq!((prune().await, prune().await, prune().await), (1, 1, 0));
}
