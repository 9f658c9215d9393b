//! One key, one effect.

use std::time::Duration;

use super::Subject;
use crate::idempotency::{self, Answer, Claim, IdempotencyKey};
use crate::{Queue, StorageError};

fn key(subject: &Subject, body: &[u8]) -> IdempotencyKey {
    IdempotencyKey {
        workspace_id: subject.workspace,
        key: "order-991".to_owned(),
        fingerprint: idempotency::fingerprint("POST", "/api/messages", body),
    }
}

async fn claim(subject: &Subject, key: IdempotencyKey) -> Claim {
    let (now, end) = (subject.now(), subject.now() + Duration::from_secs(24 * 3600));
    subject
        .write(move |tx| Box::pin(async move { idempotency::claim(tx, &key, now, end).await }))
        .await
}

async fn finish(subject: &Subject, answer: Answer) {
    let (workspace, end) = (subject.workspace, subject.now() + Duration::from_secs(24 * 3600));
    subject
        .write(move |tx| Box::pin(async move { idempotency::finish(tx, workspace, "order-991", &answer, end).await }))
        .await;
}

/// Claim and answer can be one unit with the effect.
pub async fn the_first_call_has_the_effect_and_the_second_its_answer(subject: &Subject) {
    let keys = subject.workspace_keys().await;
    let sealed = idempotency::seal_answer(&keys, "order-991", b"202").unwrap();
    let (first, now, end) = (
        key(subject, b"{}"),
        subject.now(),
        subject.now() + Duration::from_secs(60),
    );
    let answer = Answer::Sealed(sealed.clone());
    let claimed = subject
        .write(move |tx| {
            Box::pin(async move {
                let claimed = idempotency::claim(tx, &first, now, end).await?;
                idempotency::finish(tx, first.workspace_id, &first.key, &answer, end).await?;
                Ok(claimed)
            })
        })
        .await;
    assert_eq!(claimed, Claim::Fresh);
    assert_eq!(claim(subject, key(subject, b"{}")).await, Claim::Replay(sealed.clone()));
    assert_eq!(idempotency::open_answer(&keys, "order-991", &sealed).unwrap(), b"202");
    assert!(idempotency::open_answer(&keys, "order-992", &sealed).is_err());
}

/// Where the answer is known beforehand, one statement does both.
pub async fn a_claim_can_bring_its_answer(subject: &Subject) {
    let keys = subject.workspace_keys().await;
    let sealed = idempotency::seal_answer(&keys, "order-991", b"202").unwrap();
    let (now, end) = (subject.now(), subject.now() + Duration::from_secs(60));
    let mut claims = Vec::new();
    for body in [&b"{}"[..], b"{}", b"other"] {
        let (key, answer) = (key(subject, body), Answer::Sealed(sealed.clone()));
        let unit = subject
            .write(move |tx| Box::pin(async move { idempotency::claim_answered(tx, &key, &answer, now, end).await }));
        claims.push(unit.await);
    }
    assert_eq!(claims, [Claim::Fresh, Claim::Replay(sealed), Claim::Mismatch]);
}

/// Whatever became of the first.
pub async fn another_body_is_a_mismatch(subject: &Subject) {
    claim(subject, key(subject, b"{}")).await;
    assert_eq!(claim(subject, key(subject, b"{ }")).await, Claim::Mismatch);
    finish(subject, Answer::SecretShown).await;
    assert_eq!(claim(subject, key(subject, b"{ }")).await, Claim::Mismatch);
}

/// A call that failed without an effect may be tried again.
pub async fn a_call_in_progress_is_said_to_be_and_can_be_released(subject: &Subject) {
    assert_eq!(claim(subject, key(subject, b"{}")).await, Claim::Fresh);
    assert_eq!(claim(subject, key(subject, b"{}")).await, Claim::InProgress);
    let workspace = subject.workspace;
    subject
        .write(move |tx| Box::pin(idempotency::release(tx, workspace, "order-991")))
        .await;
    assert_eq!(claim(subject, key(subject, b"{}")).await, Claim::Fresh);
}

/// Its end could not be stored: the key comes free, and what is finished later is kept from then on.
pub async fn a_claim_that_nobody_ended_lapses(subject: &Subject) {
    let (now, lease) = (subject.now(), Duration::from_secs(60));
    let first = key(subject, b"{}");
    subject
        .write(move |tx| Box::pin(async move { idempotency::claim(tx, &first, now, now + lease).await }))
        .await;
    assert_eq!(claim(subject, key(subject, b"{}")).await, Claim::InProgress);
    subject.clock.advance(lease);
    let (again, now) = (key(subject, b"{}"), subject.now());
    let claimed = subject
        .write(move |tx| Box::pin(async move { idempotency::claim(tx, &again, now, now + lease).await }))
        .await;
    assert_eq!(claimed, Claim::Fresh);
    finish(subject, Answer::SecretShown).await;
    subject.clock.advance(lease);
    assert_eq!(claim(subject, key(subject, b"{}")).await, Claim::SecretShown);
}

/// A secret is shown once and stored never.
pub async fn a_secret_leaves_only_the_fact(subject: &Subject) {
    claim(subject, key(subject, b"{}")).await;
    finish(subject, Answer::SecretShown).await;
    assert_eq!(claim(subject, key(subject, b"{}")).await, Claim::SecretShown);
}

/// An effect that was rolled back leaves its key free.
pub async fn a_claim_goes_with_its_unit(subject: &Subject) {
    let (first, now) = (key(subject, b"{}"), subject.now());
    let undone: Result<(), _> = subject
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move {
                idempotency::claim(tx, &first, now, now + Duration::from_secs(1)).await?;
                Err(StorageError::NotFound("session"))
            })
        })
        .await;
    assert!(undone.is_err());
    assert_eq!(claim(subject, key(subject, b"{}")).await, Claim::Fresh);
}

/// Also before the sweep takes it away.
pub async fn an_expired_key_is_fresh_again(subject: &Subject) {
    claim(subject, key(subject, b"{}")).await;
    finish(subject, Answer::SecretShown).await;
    subject.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(claim(subject, key(subject, b"other")).await, Claim::Fresh);
    subject.clock.advance(Duration::from_secs(24 * 3600));
    let now = subject.now();
    assert_eq!(
        subject.write(move |tx| Box::pin(idempotency::prune(tx, now, 10))).await,
        1
    );
}

/// A race has one winner.
pub async fn of_many_callers_one_is_first(subject: &Subject) {
    let (now, end) = (subject.now(), subject.now() + Duration::from_secs(60));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let (storage, key) = (subject.storage.clone(), key(subject, b"{}"));
            tokio::spawn(async move {
                let unit = storage.write(Queue::Normal, move |tx| {
                    Box::pin(async move { idempotency::claim(tx, &key, now, end).await })
                });
                unit.await.unwrap()
            })
        })
        .collect();
    let mut claims = Vec::new();
    for caller in callers {
        claims.push(caller.await.unwrap());
    }
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::Fresh).count(), 1);
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::InProgress).count(), 49);
}
