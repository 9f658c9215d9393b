//! The promises of usage and quotas.

use std::time::Duration;

use futures::future::join_all;
use wharf_model::{ApiKeyId, Day, SystemEdges, Timestamp};

use super::Subject;
use crate::plans::PlanLimits;
use crate::sessions::{self, NewSession};
use crate::usage::{self, Allowance, DayUsage, QuotaExceeded, Resource, SessionQuotaReached, Used};
use crate::{Queue, Storage, StorageError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MANY: usize = 24;

fn allowance(subject: &Subject, limits: PlanLimits) -> Allowance {
    let key = ApiKeyId::generate(&SystemEdges, &SystemEdges);
    Allowance::new(subject.workspace, key, limits)
}

/// A key with quotas.
fn limited(subject: &Subject, messages: u64, otps: u64) -> Allowance {
    allowance(
        subject,
        PlanLimits {
            messages_per_day: Some(messages),
            otps_per_day: Some(otps),
            ..PlanLimits::NONE
        },
    )
}

async fn take(
    storage: &Storage,
    from: Allowance,
    resource: Resource,
    n: u32,
    at: Timestamp,
) -> Result<(), StorageError> {
    let unit = storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { usage::take(tx, &from, resource, n, at).await })
    });
    unit.await
}

async fn used(subject: &Subject, of: Allowance, at: Timestamp) -> Used {
    subject
        .read(move |tx| Box::pin(usage::of_day(tx, of.workspace, of.key, at)))
        .await
}

/// Each resource for itself, and what one key takes no other one lacks.
pub async fn what_is_taken_is_counted_by_key_and_day(subject: &Subject) {
    let (first, second) = (limited(subject, 10, 10), limited(subject, 50, 61));
    let (today, tomorrow) = (subject.now(), subject.now() + DAY);
    for (from, resource, n, at) in [
        (first, Resource::Messages, 3, today),
        (first, Resource::Messages, 4, today),
        (first, Resource::Otps, 2, today),
        (first, Resource::Messages, 10, tomorrow),
        (second, Resource::Messages, 50, today),
        (second, Resource::Otps, 60, today),
        (second, Resource::Otps, 1, today),
    ] {
        take(&subject.storage, from, resource, n, at).await.unwrap();
    }
    assert_eq!(used(subject, first, today).await, Used { messages: 7, otps: 2 });
    assert_eq!(used(subject, first, tomorrow).await, Used { messages: 10, otps: 0 });
    assert_eq!(used(subject, second, today).await, Used { messages: 50, otps: 61 });
    assert_eq!(used(subject, second, tomorrow).await, Used::default());
    let foreign = Allowance {
        workspace: subject.other_workspace().await,
        ..first
    };
    assert_eq!(used(subject, foreign, today).await, Used::default());
}

/// Not even a row is made: units of one key would wait for each other at it.
pub async fn taking_of_what_nothing_limits_writes_nothing(subject: &Subject) {
    let messages_only = PlanLimits {
        messages_per_day: Some(10),
        ..PlanLimits::NONE
    };
    let (of, now) = (allowance(subject, messages_only), subject.now());
    take(&subject.storage, of, Resource::Otps, 1_000, now).await.unwrap();
    assert_eq!(used(subject, of, now).await, Used::default());
    take(&subject.storage, of, Resource::Messages, 2, now).await.unwrap();
    assert_eq!(used(subject, of, now).await, Used { messages: 2, otps: 0 });
}

/// Also what was counted elsewhere counts towards a limit that comes later.
pub async fn what_was_counted_elsewhere_adds_up(subject: &Subject) {
    let (first, second, now) = (limited(subject, 10, 10), limited(subject, 10, 10), subject.now());
    let of = |of: Allowance, at, messages, otps| DayUsage {
        workspace: of.workspace,
        key: of.key,
        day: Day::of(at),
        used: Used { messages, otps },
    };
    take(&subject.storage, first, Resource::Messages, 1, now).await.unwrap();
    for batch in [
        vec![of(first, now, 3, 2), of(second, now, 0, 4), of(first, now - DAY, 5, 0)],
        vec![of(second, now, 1, 1), of(first, now, 4, 0)],
        Vec::new(),
    ] {
        subject
            .write(move |tx| Box::pin(async move { usage::record(tx, &batch).await }))
            .await;
    }
    assert_eq!(used(subject, first, now).await, Used { messages: 8, otps: 2 });
    assert_eq!(used(subject, first, now - DAY).await, Used { messages: 5, otps: 0 });
    assert_eq!(used(subject, second, now).await, Used { messages: 1, otps: 5 });
    take(&subject.storage, first, Resource::Messages, 2, now).await.unwrap();
    let refused = take(&subject.storage, first, Resource::Messages, 1, now).await;
    assert!(refused.unwrap_err().rejection::<QuotaExceeded>().is_some());
}

/// With a word of how long to wait; and what else the unit did is not done.
pub async fn a_unit_beyond_a_quota_leaves_nothing(subject: &Subject) {
    let (from, now) = (limited(subject, 5, 0), subject.now());
    take(&subject.storage, from, Resource::Messages, 4, now).await.unwrap();
    let refused = take(&subject.storage, from, Resource::Messages, 2, now)
        .await
        .unwrap_err();
    let told = QuotaExceeded {
        resource: Resource::Messages,
        limit: 5,
        resets_in: Day::of(now).ends_at().since(now),
    };
    assert_eq!(refused.rejection::<QuotaExceeded>(), Some(&told), "{refused:?}");
    assert!(told.resets_in > Duration::ZERO && told.resets_in <= DAY);
    let session = subject.new_session("s");
    let (workspace, id) = (subject.workspace, session.id);
    let unit = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move {
            sessions::create(tx, &session).await?;
            usage::take(tx, &from, Resource::Otps, 1, now).await
        })
    });
    assert!(unit.await.is_err());
    assert!(
        subject
            .read(move |tx| Box::pin(sessions::get(tx, workspace, id)))
            .await
            .is_none()
    );
    assert_eq!(used(subject, from, now).await, Used { messages: 4, otps: 0 });
    take(&subject.storage, from, Resource::Messages, 1, now).await.unwrap();
}

/// Not one more, however many come at once.
pub async fn of_many_that_take_at_once_as_many_are_admitted_as_there_are(subject: &Subject) {
    let (from, now) = (limited(subject, 10, 10), subject.now());
    let takers = (0..MANY).map(|_| {
        let storage = subject.storage.clone();
        tokio::spawn(async move { take(&storage, from, Resource::Messages, 1, now).await })
    });
    let mut admitted = 0;
    for taken in join_all(takers).await {
        match taken.unwrap() {
            Ok(()) => admitted += 1,
            Err(error) => assert!(error.rejection::<QuotaExceeded>().is_some(), "{error:?}"),
        }
    }
    assert_eq!(admitted, 10);
    assert_eq!(used(subject, from, now).await, Used { messages: 10, otps: 0 });
}

fn made_by(subject: &Subject, key: ApiKeyId) -> NewSession {
    NewSession {
        created_by: Some(key.to_string()),
        ..subject.new_session("s")
    }
}

async fn make(storage: Storage, of: Allowance, session: NewSession) -> Result<(), StorageError> {
    let unit = storage.write(Queue::Normal, move |tx| {
        Box::pin(async move {
            usage::admit_session(tx, &of).await?;
            sessions::create(tx, &session).await
        })
    });
    unit.await
}

/// Those that exist, however many are made at once; a deleted one gives its place back.
pub async fn a_key_makes_as_many_sessions_as_it_may(subject: &Subject) {
    let of = allowance(
        subject,
        PlanLimits {
            sessions: Some(3),
            ..PlanLimits::NONE
        },
    );
    let count = async || {
        subject
            .read(move |tx| Box::pin(usage::sessions(tx, of.workspace, of.key)))
            .await
    };
    let made = (0..MANY).map(|_| {
        let session = made_by(subject, of.key);
        let id = session.id;
        let made = tokio::spawn(make(subject.storage.clone(), of, session));
        async move { (id, made.await.unwrap()) }
    });
    let mut ids = Vec::new();
    for (id, made) in join_all(made).await {
        match made {
            Ok(()) => ids.push(id),
            Err(error) => {
                let told = error.rejection::<SessionQuotaReached>();
                assert_eq!(told, Some(&SessionQuotaReached { limit: 3 }), "{error:?}");
            }
        }
    }
    assert_eq!((ids.len(), count().await), (3, 3));
    let another = allowance(subject, PlanLimits::NONE);
    make(subject.storage.clone(), another, made_by(subject, another.key))
        .await
        .unwrap();
    subject.storage.delete_session(subject.workspace, ids[0]).await.unwrap();
    assert_eq!(count().await, 2);
    make(subject.storage.clone(), of, made_by(subject, of.key))
        .await
        .unwrap();
    assert_eq!(count().await, 3);
}

/// The oldest first, no more at a time than was asked for.
pub async fn old_days_are_cleared_away(subject: &Subject) {
    let (from, now) = (limited(subject, 10, 10), subject.now());
    for days in [0, 90, 91, 92] {
        take(&subject.storage, from, Resource::Messages, 1, now - DAY * days)
            .await
            .unwrap();
    }
    let prune = async |limit: u32| {
        subject
            .write(move |tx| Box::pin(usage::prune(tx, now - usage::KEPT, limit)))
            .await
    };
    assert_eq!(prune(1).await, 1);
    assert_eq!(used(subject, from, now - DAY * 92).await, Used::default());
    assert_eq!((prune(10).await, prune(10).await), (1, 0));
    for days in [0, 90] {
        assert_eq!(used(subject, from, now - DAY * days).await.messages, 1);
    }
}

/// Or else a quota that is used up would be whole again, once the clock is right.
pub async fn a_clock_that_runs_ahead_clears_no_recent_day_away(subject: &Subject) {
    let (from, now) = (limited(subject, 1, 1), subject.now());
    for days in [0, 90, 91] {
        take(&subject.storage, from, Resource::Messages, 1, now - DAY * days)
            .await
            .unwrap();
    }
    let ahead = now + DAY * 1_000;
    let pruned = subject
        .write(move |tx| Box::pin(usage::prune(tx, ahead - usage::KEPT, 10)))
        .await;
    assert_eq!(pruned, 1);
    for (days, messages) in [(0, 1), (90, 1), (91, 0)] {
        assert_eq!(used(subject, from, now - DAY * days).await.messages, messages, "{days}");
    }
}
