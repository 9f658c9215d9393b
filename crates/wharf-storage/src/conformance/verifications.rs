//! The promises of verifications: how a code is tried, used, replaced and taken back, when it falls due, and who has a part
//! in it.

use std::sync::Arc;

use wharf_model::{Lane, MessageId, MessageStatus, SystemEdges, VerificationId, VerificationStatus};

use super::Subject;
use super::sent_codes::{MINUTE, PHONE, PURPOSE, Sent, check, compared, index, send, send_of};
use crate::driver::value::params;
use crate::verifications::{self, CheckResult, Checked, Renewal, Verification, VerificationFilter};
use crate::{PageRequest, Queue};

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
