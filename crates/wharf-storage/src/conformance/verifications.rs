//! The promises of verifications.

use std::sync::Arc;
use std::time::Duration;

use wharf_model::{Day, Lane, MessageId, MessageStatus, SystemEdges, VerificationId, VerificationStatus, WorkspaceId};

use super::Subject;
use super::subject::Linked;
use crate::driver::value::params;
use crate::verifications::{
    self, Cell, CheckResult, Checked, Conversion, Counted, Counter, Counts, NewSend, NewVerification, Renewal,
    Verification, VerificationFilter, Wait, Waited,
};
use crate::{Blind, PageRequest, Queue, WorkspaceKeys};

const PHONE: &str = "+15551234567";
const PURPOSE: &str = "login";
const COUNTRY: &str = "US";
const MINUTE: Duration = Duration::from_secs(60);

/// A verification that waits for its code, and its message.
struct Sent {
    workspace: WorkspaceId,
    id: VerificationId,
    message: MessageId,
}

fn index(keys: &WorkspaceKeys, phone: &str) -> Blind {
    keys.blind("phone", phone)
}

fn send_of(subject: &Subject, session: &Linked, keys: &WorkspaceKeys, sent: &Sent, n: u32) -> NewSend {
    NewSend {
        verification_id: sent.id,
        workspace_id: subject.workspace,
        session_id: session.id,
        message_id: sent.message,
        n,
        at: subject.now(),
        phone_index: index(keys, PHONE),
        prefix_index: keys.blind("prefix", "+1555123"),
        client_index: None,
        key_id: None,
    }
}

async fn send(subject: &Subject, session: &Linked, purpose: &str, code: &str) -> Sent {
    let keys = subject.workspace_keys().await;
    let message = subject.outbound(session, Lane::Otp, "15551234567@s.whatsapp.net");
    let sent = Sent {
        workspace: subject.workspace,
        id: VerificationId::generate(&SystemEdges, &SystemEdges),
        message: subject.accept(vec![message]).await[0],
    };
    let phone = index(&keys, PHONE);
    let new = NewVerification {
        id: sent.id,
        workspace_id: subject.workspace,
        session_id: Some(session.id),
        phone_index: phone,
        purpose: purpose.to_owned(),
        mac: verifications::mac_of(&keys, sent.id, phone, purpose, code),
        phone: verifications::seal_phone(&keys, sent.id, PHONE).unwrap(),
        metadata: Some(verifications::seal_metadata(&keys, sent.id, b"{\"a\":1}").unwrap()),
        template: "default".to_owned(),
        locale: "en".to_owned(),
        length: 6,
        max_attempts: 3,
        max_sends: 2,
        next_send_at: subject.now() + MINUTE / 2,
        expires_at: subject.now() + MINUTE * 5,
        undelivered_at: Some(subject.now() + MINUTE / 3),
        keep_until: subject.now() + MINUTE * 60,
        created_at: subject.now(),
        country: Some(COUNTRY.to_owned()),
        key_id: None,
    };
    let first = send_of(subject, session, &keys, &sent, 1);
    subject
        .write(move |tx| {
            Box::pin(async move {
                verifications::insert(tx, &new).await?;
                verifications::insert_send(tx, &first).await
            })
        })
        .await;
    sent
}

async fn check(subject: &Subject, id: VerificationId, code: &'static str) -> Option<Checked> {
    let (keys, now) = (subject.workspace_keys().await, subject.now());
    subject
        .write(move |tx| Box::pin(async move { verifications::check(tx, &keys, id, code, now).await }))
        .await
}

fn compared(checked: Option<Checked>) -> Option<(CheckResult, Verification)> {
    match checked {
        Some(Checked::Compared(result, verification)) => Some((result, verification)),
        _ => None,
    }
}

async fn get(subject: &Subject, id: VerificationId) -> Option<Verification> {
    let workspace = subject.workspace;
    subject
        .read(move |tx| Box::pin(verifications::get(tx, workspace, id)))
        .await
}

/// The right code once; then it is used. A wrong one before it takes an attempt and nothing else.
pub async fn a_code_is_used_once(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "004217").await;
    let (result, found) = compared(check(subject, sent.id, "004218").await).unwrap();
    assert_eq!((result, found.attempts), (CheckResult::Incorrect, 1));
    let (result, found) = compared(check(subject, sent.id, "004217").await).unwrap();
    assert_eq!(
        (result, found.status),
        (CheckResult::Approved, VerificationStatus::Approved)
    );
    assert_eq!(found.finished_at, Some(subject.now()));
    let again = check(subject, sent.id, "004217").await;
    assert!(matches!(again, Some(Checked::Over(over)) if over.status == VerificationStatus::Approved));
    let tried = subject
        .read(move |tx| Box::pin(verifications::checks(tx, sent.workspace, sent.id)))
        .await;
    let results: Vec<_> = tried.into_iter().map(|check| check.result).collect();
    assert_eq!(results, [CheckResult::Incorrect, CheckResult::Approved]);
}

/// However many come at once: as many are compared as may be.
pub async fn only_the_allowed_number_of_codes_is_compared(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "111111").await;
    let keys = subject.workspace_keys().await;
    let tries = (0..40).map(|_| {
        let (storage, keys, now) = (subject.storage.clone(), Arc::clone(&keys), subject.now());
        tokio::spawn(async move {
            let work = storage.write(Queue::Normal, move |tx| {
                Box::pin(async move { verifications::check(tx, &keys, sent.id, "222222", now).await })
            });
            compared(work.await.unwrap()).is_some()
        })
    });
    let mut compared = 0;
    for tried in tries.collect::<Vec<_>>() {
        compared += usize::from(tried.await.unwrap());
    }
    assert_eq!(compared, 3);
    let found = get(subject, sent.id).await.unwrap();
    assert_eq!(
        (found.status, found.attempts),
        (VerificationStatus::MaxAttemptsReached, 3)
    );
}

/// Of many right codes at once one is approved.
pub async fn one_of_many_right_codes_is_approved(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "111111").await;
    let keys = subject.workspace_keys().await;
    let tries = (0..40).map(|_| {
        let (storage, keys, now) = (subject.storage.clone(), Arc::clone(&keys), subject.now());
        tokio::spawn(async move {
            let work = storage.write(Queue::Normal, move |tx| {
                Box::pin(async move { verifications::check(tx, &keys, sent.id, "111111", now).await })
            });
            compared(work.await.unwrap()).is_some_and(|(result, _)| result == CheckResult::Approved)
        })
    });
    let mut approved = 0;
    for tried in tries.collect::<Vec<_>>() {
        approved += usize::from(tried.await.unwrap());
    }
    assert_eq!(approved, 1);
}

/// OTP-3: a hash that was moved to another row proves nothing there.
pub async fn a_hash_is_of_its_own_row_alone(subject: &Subject) {
    let session = subject.session("s").await;
    let one = send(subject, &session, "one", "111111").await;
    let two = send(subject, &session, "two", "222222").await;
    subject
        .write(move |tx| {
            Box::pin(async move {
                let mut macs = Vec::new();
                for id in [one.id, two.id] {
                    let mut row = tx
                        .first(
                            "select mac from verifications where workspace_id = $1 and id = $2",
                            params![&one.workspace, &id],
                        )
                        .await?
                        .unwrap();
                    macs.push(row.take::<Vec<u8>>()?);
                }
                for (id, mac) in [(one.id, &macs[1]), (two.id, &macs[0])] {
                    let sql = "update verifications set mac = $3 where workspace_id = $1 and id = $2";
                    tx.execute(sql, params![&one.workspace, &id, mac]).await?;
                }
                Ok(())
            })
        })
        .await;
    for (id, code) in [
        (one.id, "111111"),
        (one.id, "222222"),
        (two.id, "111111"),
        (two.id, "222222"),
    ] {
        let (result, _) = compared(check(subject, id, code).await).unwrap();
        assert_eq!(result, CheckResult::Incorrect, "{code}");
    }
}

/// OTP-3: nor does it prove anything in a later verification of the same phone and purpose.
pub async fn a_hash_is_of_no_later_verification(subject: &Subject) {
    let session = subject.session("s").await;
    let first = send(subject, &session, PURPOSE, "111111").await;
    let (workspace, now) = (subject.workspace, subject.now());
    let old = subject
        .write(move |tx| {
            Box::pin(async move {
                let row = tx
                    .first(
                        "select mac from verifications where workspace_id = $1 and id = $2",
                        params![&workspace, &first.id],
                    )
                    .await?;
                let mac = row.unwrap().take::<Vec<u8>>()?;
                verifications::cancel(tx, workspace, first.id, now).await?;
                Ok(mac)
            })
        })
        .await;
    let second = send(subject, &session, PURPOSE, "222222").await;
    subject
        .write(move |tx| {
            Box::pin(async move {
                let sql = "update verifications set mac = $3 where workspace_id = $1 and id = $2";
                tx.execute(sql, params![&workspace, &second.id, &old]).await.map(drop)
            })
        })
        .await;
    let (result, _) = compared(check(subject, second.id, "111111").await).unwrap();
    assert_eq!(result, CheckResult::Incorrect);
}

/// A new code takes the place of the one before; what was tried stays tried, and what has not left never leaves.
pub async fn a_new_code_takes_the_place_of_the_old_one(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "111111").await;
    compared(check(subject, sent.id, "999999").await).unwrap();
    let keys = subject.workspace_keys().await;
    subject.clock.advance(MINUTE);
    let second = subject.outbound(&session, Lane::Otp, "15551234567@s.whatsapp.net");
    let renewed = Sent {
        workspace: subject.workspace,
        id: sent.id,
        message: subject.accept(vec![second]).await[0],
    };
    let renewal = Renewal {
        session_id: Some(session.id),
        mac: verifications::mac_of(&keys, sent.id, index(&keys, PHONE), PURPOSE, "222222"),
        template: "default".to_owned(),
        locale: "es".to_owned(),
        length: 6,
        metadata: None,
        next_send_at: subject.now() + MINUTE,
        expires_at: subject.now() + MINUTE * 5,
        undelivered_at: Some(subject.now() + MINUTE / 3),
        keep_until: subject.now() + MINUTE * 60,
        at: subject.now(),
    };
    let (workspace, phone) = (subject.workspace, index(&keys, PHONE));
    let new_send = send_of(subject, &session, &keys, &renewed, 2);
    let found = subject
        .write(move |tx| {
            Box::pin(async move {
                let active = verifications::active(tx, workspace, phone, PURPOSE).await?.unwrap();
                let found = verifications::renew(tx, active.workspace_id, active.id, &renewal).await?;
                verifications::insert_send(tx, &new_send).await?;
                Ok(found)
            })
        })
        .await;
    assert_eq!((found.sends, found.attempts, found.locale.as_str()), (2, 1, "es"));
    assert!(subject.message(sent.message).await.body.is_none());
    assert!(subject.message(renewed.message).await.body.is_some());
    assert!(
        !subject.send(&session, sent.message).await,
        "a message without a body is not sent"
    );
    let (result, _) = compared(check(subject, sent.id, "111111").await).unwrap();
    assert_eq!(result, CheckResult::Incorrect);
    let (result, _) = compared(check(subject, sent.id, "222222").await).unwrap();
    assert_eq!(result, CheckResult::Approved);
    let sends = subject
        .read(move |tx| Box::pin(verifications::sends(tx, sent.workspace, sent.id)))
        .await;
    assert_eq!(sends.iter().map(|send| send.n).collect::<Vec<_>>(), [1, 2]);
}

/// OTP-4: at whatever end; a message that waits for another try comes to its own end at once.
pub async fn the_end_takes_the_digits_out_of_the_messages(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "111111").await;
    let (id, message, now, later) = (session.id, sent.message, subject.now(), subject.now() + MINUTE * 60);
    subject
        .write(move |tx| {
            Box::pin(async move { crate::messages::postpone(tx, id, message, later, "time_locked", now).await })
        })
        .await;
    assert!(subject.next(&session).await.is_empty());
    let workspace = subject.workspace;
    let cancel = async || {
        subject
            .write(move |tx| Box::pin(verifications::cancel(tx, workspace, sent.id, now)))
            .await
    };
    assert_eq!(cancel().await.unwrap().status, VerificationStatus::Cancelled);
    assert!(cancel().await.is_none());
    assert!(subject.message(sent.message).await.body.is_none());
    assert_eq!(subject.next(&session).await, [sent.message]);
}

/// A message that is on the wire when its code becomes void: it is not sent again, waits for nothing, and keeps nothing of its
/// chat waiting.
pub async fn a_void_message_on_the_wire_holds_nothing_back(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "111111").await;
    let next = subject.outbound(&session, Lane::Otp, "15551234567@s.whatsapp.net");
    let next = subject.accept(vec![next]).await[0];
    assert!(subject.send(&session, sent.message).await);
    assert!(subject.next(&session).await.is_empty(), "one at a time in a chat");
    let (workspace, now) = (subject.workspace, subject.now());
    let cancelled = subject
        .write(move |tx| Box::pin(verifications::cancel(tx, workspace, sent.id, now)))
        .await;
    assert!(cancelled.is_some());
    assert_eq!(subject.next(&session).await, [next]);
    let (fence, message) = (session.fence, sent.message);
    let again = subject
        .write(move |tx| Box::pin(async move { crate::messages::note_resent(tx, &fence, message, now).await }))
        .await;
    assert!(!again, "what it said is gone");
    let (id, later) = (session.id, now + MINUTE * 60);
    subject
        .write(move |tx| {
            Box::pin(async move { crate::messages::postpone(tx, id, message, later, "rate_limited", now).await })
        })
        .await;
    assert_eq!(subject.next(&session).await, [sent.message, next]);
    assert!(!subject.send(&session, sent.message).await);
    assert!(subject.send(&session, next).await);
}

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

/// In the order of time: nothing was heard of it, its time is over, it is deleted.
pub async fn what_falls_due_is_found(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "111111").await;
    let due = async || {
        let now = subject.now();
        let due = subject.read(move |tx| Box::pin(verifications::due(tx, now, 10))).await;
        due.len()
    };
    assert_eq!(due().await, 0);
    let next = subject.read(|tx| Box::pin(verifications::next_due_at(tx))).await;
    assert_eq!(next, Some(subject.now() + MINUTE / 3));

    subject.clock.advance(MINUTE / 3);
    assert_eq!(due().await, 1);
    let now = subject.now();
    let note = async || {
        subject
            .write(move |tx| Box::pin(verifications::note_undelivered(tx, sent.workspace, sent.id, now)))
            .await
    };
    assert!(note().await.is_some());
    assert!(note().await.is_none(), "it is told once");
    assert_eq!(due().await, 0);

    subject.clock.advance(MINUTE * 5);
    let now = subject.now();
    let over = check(subject, sent.id, "111111").await;
    assert!(matches!(over, Some(Checked::Over(_))), "the right code, too late");
    let expired = subject
        .write(move |tx| Box::pin(verifications::expire(tx, sent.workspace, sent.id, now)))
        .await
        .unwrap();
    assert_eq!((expired.status, expired.attempts), (VerificationStatus::Expired, 0));
    let delete = async || {
        let now = subject.now();
        subject
            .write(move |tx| Box::pin(verifications::delete_due(tx, now, 10)))
            .await
    };
    assert_eq!(delete().await, 0);
    subject.clock.advance(MINUTE * 60);
    assert_eq!(delete().await, 1);
    assert!(get(subject, sent.id).await.is_none());
}

/// A message tells its verification how far it has come.
pub async fn a_message_tells_its_verification(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "111111").await;
    let now = subject.now();
    let followed = subject
        .write(move |tx| {
            Box::pin(verifications::note_status(
                tx,
                sent.message,
                MessageStatus::Delivered,
                None,
                now,
            ))
        })
        .await
        .unwrap();
    assert_eq!((followed.id, followed.is_last), (sent.id, true));
    let sends = subject
        .read(move |tx| Box::pin(verifications::sends(tx, sent.workspace, sent.id)))
        .await;
    assert_eq!(sends[0].status, MessageStatus::Delivered);
    let other = MessageId::generate(&SystemEdges, &SystemEdges);
    let none = subject
        .write(move |tx| Box::pin(verifications::note_status(tx, other, MessageStatus::Sent, None, now)))
        .await;
    assert_eq!(none, None);
}

/// Whose it is not, he neither sees nor checks it.
pub async fn another_workspace_has_no_part_in_it(subject: &Subject) {
    let session = subject.session("s").await;
    let sent = send(subject, &session, PURPOSE, "111111").await;
    let other = subject.other_workspace().await;
    let keys = subject.storage.workspace_keys(other).await.unwrap();
    let own_keys = subject.workspace_keys().await;
    let (now, phone) = (subject.now(), index(&own_keys, PHONE));
    let (checked, cancelled) = subject
        .write(move |tx| {
            Box::pin(async move {
                let checked = verifications::check(tx, &keys, sent.id, "111111", now).await?;
                Ok((checked, verifications::cancel(tx, other, sent.id, now).await?))
            })
        })
        .await;
    assert!(checked.is_none() && cancelled.is_none());
    let found = subject
        .read(move |tx| Box::pin(verifications::get(tx, other, sent.id)))
        .await;
    assert!(found.is_none());
    let own = subject.workspace;
    for (workspace, phone, expected) in [
        (own, None, 1),
        (own, Some(phone), 1),
        (other, None, 0),
        (other, Some(phone), 0),
    ] {
        let filter = VerificationFilter {
            phone,
            status: Some(VerificationStatus::Pending),
        };
        let page = subject
            .read(move |tx| {
                Box::pin(async move { verifications::list(tx, workspace, &filter, &PageRequest::first(10)).await })
            })
            .await;
        assert_eq!(page.rows.len(), expected);
    }
    let found = get(subject, sent.id).await.unwrap();
    let open = found.open(&own_keys).unwrap();
    assert_eq!((open.phone.as_str(), found.attempts), (PHONE, 0));
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
