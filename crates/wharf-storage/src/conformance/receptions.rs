//! The promises of receptions.

use std::sync::Arc;
use std::time::Duration;

use wharf_model::{SystemEdges, VerificationId, VerificationStatus};

use super::Subject;
use super::subject::Linked;
use crate::Queue;
use crate::receptions::{self, Arrival, NewReception, Reception};

const TEXT: &str = "7K3F9QXM";
const PHONE: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const MINUTE: Duration = Duration::from_secs(60);

/// A session waits for a text for five minutes, from one number or from any.
async fn wait_for(subject: &Subject, session: &Linked, text: &str, phone: Option<&str>) -> VerificationId {
    let (id, keys) = (VerificationId::generate(&SystemEdges, &SystemEdges), &session.keys);
    let new = NewReception {
        id,
        workspace_id: subject.workspace,
        session_id: session.id,
        text_index: receptions::text_index(keys, text),
        phone_index: phone.map(|phone| receptions::phone_index(keys, phone)),
        phone: phone.map(|phone| receptions::seal_phone(keys, id, phone).unwrap()),
        purpose: "login".to_owned(),
        metadata: Some(receptions::seal_metadata(keys, id, b"{\"a\":1}").unwrap()),
        expires_at: subject.now() + MINUTE * 5,
        keep_until: subject.now() + MINUTE * 60,
        created_at: subject.now(),
    };
    subject
        .write(move |tx| Box::pin(async move { receptions::insert(tx, &new).await }))
        .await;
    id
}

/// A session gets a text from a number.
async fn bring(subject: &Subject, session: &Linked, text: &str, phone: &'static str) -> Option<Reception> {
    let keys = Arc::clone(&session.keys);
    let arrival = Arrival {
        text: receptions::text_index(&keys, text),
        sender: receptions::phone_index(&keys, phone),
        phone,
        at: subject.now(),
    };
    let taken = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { receptions::take(tx, &keys, &arrival).await })
    });
    taken.await.unwrap()
}

async fn get(subject: &Subject, id: VerificationId) -> Option<Reception> {
    let workspace = subject.workspace;
    subject
        .read(move |tx| Box::pin(receptions::get(tx, workspace, id)))
        .await
}

/// Whoever brings it first proves his number, which the row has from then on.
pub async fn a_text_is_used_once(subject: &Subject) {
    let session = subject.session("s").await;
    let id = wait_for(subject, &session, TEXT, None).await;
    let waiting = get(subject, id).await.unwrap();
    assert_eq!(waiting.status, VerificationStatus::Pending);
    assert_eq!(waiting.open(&session.keys).unwrap().phone, None);
    assert!(bring(subject, &session, "9QXM7K3F", PHONE).await.is_none());
    let taken = bring(subject, &session, TEXT, PHONE).await.unwrap();
    assert_eq!((taken.id, taken.status), (id, VerificationStatus::Approved));
    assert_eq!(taken.finished_at, Some(subject.now()));
    for phone in [PHONE, OTHER] {
        assert!(bring(subject, &session, TEXT, phone).await.is_none());
    }
    for found in [taken, get(subject, id).await.unwrap()] {
        let open = found.open(&session.keys).unwrap();
        assert_eq!(open.phone.as_deref(), Some(PHONE));
        assert_eq!(open.metadata.as_deref(), Some(&b"{\"a\":1}"[..]));
    }
    let again = wait_for(subject, &session, TEXT, None).await;
    let taken = bring(subject, &session, TEXT, OTHER).await.unwrap();
    assert_eq!(taken.id, again, "what is over is in nobody's way");
}

/// However many bring it at once.
pub async fn of_many_that_bring_a_text_one_is_taken(subject: &Subject) {
    let session = subject.session("s").await;
    wait_for(subject, &session, TEXT, None).await;
    let tries = (0..20).map(|_| bring(subject, &session, TEXT, PHONE));
    let taken = futures::future::join_all(tries).await;
    assert_eq!(taken.into_iter().filter(Option::is_some).count(), 1);
}

/// Another session of the same workspace gets it: nothing comes of it.
pub async fn a_text_counts_where_its_session_gets_it(subject: &Subject) {
    let (session, other) = (subject.session("s").await, subject.session("t").await);
    let id = wait_for(subject, &session, TEXT, None).await;
    assert!(bring(subject, &other, TEXT, PHONE).await.is_none());
    assert_eq!(get(subject, id).await.unwrap().status, VerificationStatus::Pending);
    assert!(bring(subject, &session, TEXT, PHONE).await.is_some());
}

/// Whether or not somebody has said yet that its time is over.
pub async fn a_text_that_is_late_counts_no_more(subject: &Subject) {
    let session = subject.session("s").await;
    let id = wait_for(subject, &session, TEXT, None).await;
    subject.clock.advance(MINUTE * 5);
    assert!(bring(subject, &session, TEXT, PHONE).await.is_none());
    let now = subject.now();
    let expire = async || subject.write(move |tx| Box::pin(receptions::expire(tx, id, now))).await;
    assert_eq!(expire().await.unwrap().status, VerificationStatus::Expired);
    assert!(expire().await.is_none(), "it ends once");
    assert!(bring(subject, &session, TEXT, PHONE).await.is_none());
}

/// The number that was named may bring it afterwards.
pub async fn a_text_from_another_number_leaves_it_as_it_was(subject: &Subject) {
    let session = subject.session("s").await;
    let id = wait_for(subject, &session, TEXT, Some(PHONE)).await;
    assert!(bring(subject, &session, TEXT, OTHER).await.is_none());
    let found = get(subject, id).await.unwrap();
    assert_eq!(found.status, VerificationStatus::Pending);
    assert_eq!(found.open(&session.keys).unwrap().phone.as_deref(), Some(PHONE));
    let taken = bring(subject, &session, TEXT, PHONE).await.unwrap();
    assert_eq!(taken.open(&session.keys).unwrap().phone.as_deref(), Some(PHONE));
}

/// And nobody can take back what was taken.
pub async fn what_is_taken_back_is_taken_by_nobody(subject: &Subject) {
    let session = subject.session("s").await;
    let cancelled = wait_for(subject, &session, TEXT, None).await;
    let approved = wait_for(subject, &session, "9QXM7K3F", None).await;
    assert!(bring(subject, &session, "9QXM7K3F", PHONE).await.is_some());
    let (workspace, now) = (subject.workspace, subject.now());
    let cancel = async |id: VerificationId| {
        subject
            .write(move |tx| Box::pin(receptions::cancel(tx, workspace, id, now)))
            .await
    };
    assert_eq!(cancel(cancelled).await.unwrap().status, VerificationStatus::Cancelled);
    assert!(cancel(cancelled).await.is_none());
    assert!(cancel(approved).await.is_none());
    assert!(bring(subject, &session, TEXT, PHONE).await.is_none());
}

/// Of one session; what is over takes no place.
pub async fn the_last_place_is_free_when_the_earliest_expires(subject: &Subject) {
    let (session, other) = (subject.session("s").await, subject.session("t").await);
    let free = async |most: u32| {
        let (id, now) = (session.id, subject.now());
        subject
            .read(move |tx| Box::pin(receptions::next_free_at(tx, id, most, now)))
            .await
    };
    assert_eq!(free(1).await, None);
    let first_ends = subject.now() + MINUTE * 5;
    wait_for(subject, &session, TEXT, None).await;
    wait_for(subject, &other, "ABCDEFGH", None).await;
    subject.clock.advance(MINUTE);
    wait_for(subject, &session, "9QXM7K3F", None).await;
    assert_eq!(free(3).await, None);
    assert_eq!(free(2).await, Some(first_ends));
    assert_eq!(free(1).await, Some(first_ends + MINUTE));
    assert!(bring(subject, &session, TEXT, PHONE).await.is_some());
    assert_eq!(free(2).await, None);
}

/// In the order of time: its time is over, it is deleted.
pub async fn what_falls_due_is_found(subject: &Subject) {
    let session = subject.session("s").await;
    let id = wait_for(subject, &session, TEXT, None).await;
    let due = async || {
        let now = subject.now();
        let due = subject.read(move |tx| Box::pin(receptions::due(tx, now, 10))).await;
        due.len()
    };
    let next = async || subject.read(|tx| Box::pin(receptions::next_due_at(tx))).await;
    let delete = async || {
        let now = subject.now();
        subject
            .write(move |tx| Box::pin(receptions::delete_due(tx, now, 10)))
            .await
    };
    let (expires_at, keep_until) = (subject.now() + MINUTE * 5, subject.now() + MINUTE * 60);
    assert_eq!((due().await, next().await), (0, Some(expires_at)));
    subject.clock.advance(MINUTE * 5);
    assert_eq!((due().await, delete().await), (1, 0));
    let now = subject.now();
    let expired = subject.write(move |tx| Box::pin(receptions::expire(tx, id, now))).await;
    assert!(expired.is_some());
    assert_eq!((due().await, next().await), (0, Some(keep_until)));
    subject.clock.advance(MINUTE * 55);
    assert_eq!((due().await, delete().await), (1, 1));
    assert!(get(subject, id).await.is_none());
    assert_eq!(next().await, None);
}

/// Whose it is not, he neither sees it nor takes it back.
pub async fn another_workspace_has_no_part_in_it(subject: &Subject) {
    let session = subject.session("s").await;
    let id = wait_for(subject, &session, TEXT, None).await;
    let (other, now) = (subject.other_workspace().await, subject.now());
    let seen = subject.read(move |tx| Box::pin(receptions::get(tx, other, id))).await;
    let cancelled = subject
        .write(move |tx| Box::pin(receptions::cancel(tx, other, id, now)))
        .await;
    assert!(seen.is_none() && cancelled.is_none());
    assert_eq!(get(subject, id).await.unwrap().status, VerificationStatus::Pending);
}
