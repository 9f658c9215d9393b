//! The promises of what is counted of verifications: messages against limits, wrong codes against their phone, and all that
//! happens for statistics.

use std::time::Duration;

use wharf_model::{Day, Lane, MessageId, MessageStatus, SystemEdges, VerificationId, WorkspaceId};

use super::Subject;
use super::sent_codes::{COUNTRY, MINUTE, PHONE, PURPOSE, Sent, check, compared, index, send, send_of};
use super::subject::Linked;
use crate::verifications::{
    self, Cell, CheckResult, Conversion, Counted, Counter, Counts, NewVerification, Renewal, Wait, Waited,
};
use crate::{Queue, WorkspaceKeys};

/// Each kind for itself, within its window.
pub async fn limits_count_what_was_sent(subject: &Subject) {
    let session = subject.session("s").await;
    let keys = subject.workspace_keys().await;
    send(subject, &session, "one", "111111").await;
    let first_at = subject.now();
    subject.clock.advance(MINUTE);
    send(subject, &session, "two", "222222").await;
    let now = subject.now();
    let workspace = subject.workspace;
    let allowed = async |counted: Counted, most: u32, window: Duration| {
        subject
            .write(move |tx| {
                Box::pin(async move {
                    verifications::lock(tx, &[counted]).await?;
                    verifications::next_allowed_at(tx, workspace, counted, most, (now - window, now)).await
                })
            })
            .await
    };
    let phone = Counted::Phone(index(&keys, PHONE));
    assert_eq!(allowed(phone, 3, MINUTE * 10).await, None);
    assert_eq!(allowed(phone, 2, MINUTE * 10).await, Some(first_at + MINUTE * 10));
    assert_eq!(allowed(phone, 2, MINUTE).await, None, "the first one left the window");
    let prefix = Counted::Prefix(keys.blind("prefix", "+1555123"));
    assert!(allowed(prefix, 1, MINUTE * 10).await.is_some());
    assert!(allowed(Counted::Session(session.id), 1, MINUTE * 10).await.is_some());
    let other = Counted::Phone(index(&keys, "+15559999999"));
    assert_eq!(allowed(other, 1, MINUTE * 10).await, None);
    assert_eq!(
        allowed(Counted::Client(keys.blind("client", "::1")), 1, MINUTE).await,
        None
    );
}

/// Over all verifications of a phone, until a right code comes.
pub async fn wrong_codes_of_a_phone_add_up(subject: &Subject) {
    let session = subject.session("s").await;
    let keys = subject.workspace_keys().await;
    let (workspace, phone) = (subject.workspace, index(&keys, PHONE));
    let failures = async || {
        subject
            .read(move |tx| Box::pin(verifications::failures(tx, workspace, phone)))
            .await
    };
    for (purpose, expected) in [("one", 1), ("two", 2)] {
        let sent = send(subject, &session, purpose, "111111").await;
        compared(check(subject, sent.id, "999999").await).unwrap();
        assert_eq!(failures().await, expected);
    }
    let conversion = async || {
        let (prefix, since) = (keys.blind("prefix", "+1555123"), subject.now() - MINUTE);
        subject
            .write(move |tx| Box::pin(verifications::conversion(tx, workspace, prefix, since)))
            .await
    };
    let none = Conversion { sent: 2, approved: 0 };
    assert_eq!(conversion().await, none);
    let sent = send(subject, &session, "three", "111111").await;
    compared(check(subject, sent.id, "111111").await).unwrap();
    assert_eq!(failures().await, 0);
    assert_eq!(conversion().await, Conversion { sent: 3, approved: 1 });

    let sent = send(subject, &session, "four", "111111").await;
    compared(check(subject, sent.id, "999999").await).unwrap();
    let clear = async || {
        subject
            .write(move |tx| Box::pin(verifications::clear_failures(tx, workspace, phone)))
            .await
    };
    assert_eq!((clear().await, clear().await, failures().await), (true, false, 0));
}

async fn stats(subject: &Subject, workspace: WorkspaceId, (from, to): (Day, Day)) -> Vec<(Cell, Counts)> {
    subject
        .read(move |tx| Box::pin(verifications::stats(tx, workspace, from, to)))
        .await
}

async fn step(subject: &Subject, message: MessageId, status: MessageStatus) {
    let now = subject.now();
    subject
        .write(move |tx| Box::pin(verifications::note_status(tx, message, status, None, now)))
        .await;
}

fn counts(counters: &[(Counter, usize)]) -> Counts {
    let mut counts = Counts::default();
    for (counter, number) in counters {
        (0..*number).for_each(|_| counts.count(*counter));
    }
    counts
}

/// Each change once, in the unit that makes it, on the day on which the verification was made.
pub async fn what_happens_is_counted(subject: &Subject) {
    let session = subject.session("s").await;
    let (today, workspace) = (Day::of(subject.now()), subject.workspace);
    let approved = send(subject, &session, PURPOSE, "111111").await;
    subject.clock.advance(Duration::from_millis(300));
    // A step that overtakes others takes them along, once.
    for status in [MessageStatus::Read, MessageStatus::Played] {
        step(subject, approved.message, status).await;
    }
    compared(check(subject, approved.id, "111111").await).unwrap();
    let failed = send(subject, &session, PURPOSE, "222222").await;
    step(subject, failed.message, MessageStatus::Sent).await;
    for _ in 0..3 {
        compared(check(subject, failed.id, "999999").await).unwrap();
    }
    let taken_back = send(subject, &session, "other", "333333").await;
    // It counts where it began, however late it ends.
    subject.clock.advance(MINUTE * 60 * 24);
    let now = subject.now();
    subject
        .write(move |tx| Box::pin(verifications::expire(tx, taken_back.workspace, taken_back.id, now)))
        .await
        .unwrap();

    let found = stats(subject, workspace, (today, today)).await;
    let cell = |purpose: &str| Cell {
        workspace_id: workspace,
        day: today,
        country: Some(COUNTRY.to_owned()),
        purpose: Some(purpose.to_owned()),
        session_id: session.id,
    };
    let login = counts(&[
        (Counter::Created, 2),
        (Counter::Sends, 2),
        (Counter::Sent, 2),
        (Counter::Delivered, 1),
        (Counter::Read, 1),
        (Counter::Approved, 1),
        (Counter::Failed, 1),
    ]);
    let other = counts(&[(Counter::Created, 1), (Counter::Sends, 1), (Counter::Expired, 1)]);
    assert_eq!(found, [(cell(PURPOSE), login), (cell("other"), other)]);
    let waited = subject
        .read(move |tx| Box::pin(verifications::latencies(tx, workspace, today, today)))
        .await;
    let within = |wait| Waited {
        wait,
        bucket: 500,
        count: 1,
    };
    assert_eq!(waited.len(), 2);
    assert!(waited.contains(&within(Wait::Delivered)) && waited.contains(&within(Wait::Approved)));
}

/// A unit that is rolled back counts nothing; no other workspace and no other day has a part in the numbers; days go one
/// after the other, the oldest first.
pub async fn numbers_go_with_their_units_and_their_days(subject: &Subject) {
    let session = subject.session("s").await;
    let (first, workspace) = (Day::of(subject.now()), subject.workspace);
    let sent = send(subject, &session, "one", "111111").await;
    let now = subject.now();
    let undone = subject.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move {
            verifications::cancel(tx, workspace, sent.id, now).await?;
            Err::<(), _>(crate::StorageError::NotFound("reason to go on"))
        })
    });
    assert!(undone.await.is_err());
    subject.clock.advance(MINUTE * 60 * 24);
    let second = Day::of(subject.now());
    send(subject, &session, "two", "222222").await;

    let sends = counts(&[(Counter::Created, 1), (Counter::Sends, 1)]);
    let days = async || {
        let found = stats(subject, workspace, (first, second)).await;
        assert!(found.iter().all(|(_, counts)| *counts == sends));
        found.into_iter().map(|(cell, _)| cell.day).collect::<Vec<_>>()
    };
    assert_eq!(days().await, [first, second]);
    assert_eq!(stats(subject, workspace, (second, second)).await.len(), 1);
    let other = subject.other_workspace().await;
    assert!(stats(subject, other, (first, second)).await.is_empty());
    let delete = async |before: Day| {
        subject
            .write(move |tx| Box::pin(verifications::delete_oldest_day(tx, before)))
            .await;
    };
    delete(first).await;
    assert_eq!(days().await, [first, second]);
    delete(second).await;
    delete(second).await;
    assert_eq!(days().await, [second]);
}

/// A test number gets nothing: its verification has no session, falls due at its end, and is in no numbers.
pub async fn what_no_session_sends_is_not_counted(subject: &Subject) {
    let (keys, workspace) = (subject.workspace_keys().await, subject.workspace);
    let (id, new) = of_test_number(subject, &keys);
    let renewal = renewal(subject, &keys, id, None);
    let renewed = subject
        .write(move |tx| {
            Box::pin(async move {
                verifications::insert(tx, &new).await?;
                verifications::renew(tx, workspace, id, &renewal).await
            })
        })
        .await;
    assert!(renewed.is_test());
    assert_eq!((renewed.sends, renewed.undelivered_at), (2, None));
    let next = subject.read(|tx| Box::pin(verifications::next_due_at(tx))).await;
    assert_eq!(next, Some(renewed.expires_at));
    let (result, found) = compared(check(subject, id, "111111").await).unwrap();
    assert_eq!((result, found.session_id), (CheckResult::Approved, None));
    assert_nothing_counted(subject).await;
}

/// Of what began as a test number nothing is counted, also not once a session sends.
pub async fn what_began_as_a_test_is_not_counted(subject: &Subject) {
    let session = subject.session("s").await;
    let (keys, workspace) = (subject.workspace_keys().await, subject.workspace);
    let (id, new) = of_test_number(subject, &keys);
    let message = subject.outbound(&session, Lane::Otp, "15551234567@s.whatsapp.net");
    let sent = Sent {
        workspace,
        id,
        message: subject.accept(vec![message]).await[0],
    };
    let renewal = renewal(subject, &keys, id, Some(&session));
    let second = send_of(subject, &session, &keys, &sent, 2);
    let renewed = subject
        .write(move |tx| {
            Box::pin(async move {
                verifications::insert(tx, &new).await?;
                let renewed = verifications::renew(tx, workspace, id, &renewal).await?;
                verifications::insert_send(tx, &second).await?;
                Ok(renewed)
            })
        })
        .await;
    assert_eq!((renewed.session_id, renewed.first_session_id), (Some(session.id), None));
    step(subject, sent.message, MessageStatus::Delivered).await;
    let (result, _) = compared(check(subject, id, "111111").await).unwrap();
    assert_eq!(result, CheckResult::Approved);
    assert_nothing_counted(subject).await;
}

/// A verification is counted where it began, whoever sends its last message; messages where they are sent.
pub async fn an_end_counts_beside_its_beginning(subject: &Subject) {
    let (first, second) = (subject.session("a").await, subject.session("b").await);
    let sent = send(subject, &first, PURPOSE, "111111").await;
    let (keys, workspace) = (subject.workspace_keys().await, subject.workspace);
    let message = subject.outbound(&second, Lane::Otp, "15551234567@s.whatsapp.net");
    let again = Sent {
        workspace,
        id: sent.id,
        message: subject.accept(vec![message]).await[0],
    };
    let renewal = renewal(subject, &keys, sent.id, Some(&second));
    let new_send = send_of(subject, &second, &keys, &again, 2);
    subject
        .write(move |tx| {
            Box::pin(async move {
                verifications::renew(tx, workspace, again.id, &renewal).await?;
                verifications::insert_send(tx, &new_send).await
            })
        })
        .await;
    step(subject, again.message, MessageStatus::Sent).await;
    compared(check(subject, sent.id, "111111").await).unwrap();
    let today = Day::of(subject.now());
    let found = stats(subject, workspace, (today, today)).await;
    let of = |session: &Linked| {
        let own = found.iter().filter(|(cell, _)| cell.session_id == session.id);
        own.map(|(_, counts)| *counts).collect::<Vec<_>>()
    };
    let began = counts(&[(Counter::Created, 1), (Counter::Sends, 1), (Counter::Approved, 1)]);
    assert_eq!(of(&first), [began]);
    assert_eq!(of(&second), [counts(&[(Counter::Sends, 1), (Counter::Sent, 1)])]);
}

/// Callers choose purposes freely: a day has a thousand rows with one, and what is beyond counts without.
pub async fn a_day_has_so_many_purposes_and_no_more(subject: &Subject) {
    let session = subject.session("s").await;
    let (today, workspace) = (Day::of(subject.now()), subject.workspace);
    let cell = move |day: Day, number: u32| Cell {
        workspace_id: workspace,
        day,
        country: Some(COUNTRY.to_owned()),
        purpose: Some(format!("p{number:04}")),
        session_id: session.id,
    };
    let count = async |day: Day, numbers: std::ops::Range<u32>| {
        let cells: Vec<_> = numbers.map(|number| cell(day, number)).collect();
        subject
            .write(move |tx| {
                Box::pin(async move {
                    for cell in cells {
                        verifications::count(tx, cell, Counter::Created);
                    }
                    Ok(())
                })
            })
            .await;
    };
    count(today, 0..999).await;
    // One fits; two are beyond, and what is there goes on being counted.
    count(today, 998..1002).await;
    count(today, 1001..1002).await;
    let found = stats(subject, workspace, (today, today)).await;
    let created = |purpose: Option<&str>| {
        let own = found.iter().find(|(cell, _)| cell.purpose.as_deref() == purpose);
        own.map(|(_, counts)| counts.of(Counter::Created))
    };
    assert_eq!(found.len(), 1001);
    assert_eq!((created(Some("p0998")), created(Some("p0999"))), (Some(2), Some(1)));
    assert_eq!((created(Some("p1000")), created(None)), (None, Some(3)));
    let yesterday = today.before(1);
    count(yesterday, 1001..1002).await;
    let found = stats(subject, workspace, (yesterday, yesterday)).await;
    assert_eq!(found[0].0.purpose.as_deref(), Some("p1001"), "each day has its own");
}

fn of_test_number(subject: &Subject, keys: &WorkspaceKeys) -> (VerificationId, NewVerification) {
    let id = VerificationId::generate(&SystemEdges, &SystemEdges);
    let phone = index(keys, PHONE);
    let new = NewVerification {
        id,
        workspace_id: subject.workspace,
        session_id: None,
        phone_index: phone,
        purpose: PURPOSE.to_owned(),
        mac: verifications::mac_of(keys, id, phone, PURPOSE, "111111"),
        phone: verifications::seal_phone(keys, id, PHONE).unwrap(),
        metadata: None,
        template: "default".to_owned(),
        locale: "en".to_owned(),
        length: 6,
        max_attempts: 3,
        max_sends: 2,
        next_send_at: subject.now(),
        expires_at: subject.now() + MINUTE * 5,
        undelivered_at: None,
        keep_until: subject.now() + MINUTE * 60,
        created_at: subject.now(),
        country: Some(COUNTRY.to_owned()),
        key_id: None,
    };
    (id, new)
}

fn renewal(subject: &Subject, keys: &WorkspaceKeys, id: VerificationId, session: Option<&Linked>) -> Renewal {
    Renewal {
        session_id: session.map(|session| session.id),
        mac: verifications::mac_of(keys, id, index(keys, PHONE), PURPOSE, "111111"),
        template: "default".to_owned(),
        locale: "en".to_owned(),
        length: 6,
        metadata: None,
        next_send_at: subject.now(),
        expires_at: subject.now() + MINUTE * 5,
        undelivered_at: None,
        keep_until: subject.now() + MINUTE * 60,
        at: subject.now(),
    }
}

async fn assert_nothing_counted(subject: &Subject) {
    let (today, workspace) = (Day::of(subject.now()), subject.workspace);
    assert!(stats(subject, workspace, (today, today)).await.is_empty());
    let waited = subject
        .read(move |tx| Box::pin(verifications::latencies(tx, workspace, today, today)))
        .await;
    assert!(waited.is_empty());
}
