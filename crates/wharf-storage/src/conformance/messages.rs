//! The promises of the message repository: queue, look-ups, lists.

use std::time::Duration;

use wharf_model::{Direction, Lane, MessageId, MessageStatus, SessionId, Timestamp};

use super::Subject;
use crate::messages::{self, Inserted, MessageFilter};
use crate::{PageRequest, Queue, StorageError, sessions};

const A: &str = "15550000001@s.whatsapp.net";
const B: &str = "15550000002@s.whatsapp.net";

/// And its sealed fields open.
pub async fn a_message_reads_back_as_it_was_accepted(subject: &Subject) {
    let session = subject.session("s").await;
    let id = subject.accept(vec![subject.outbound(&session, Lane::Otp, A)]).await[0];
    let message = subject.message(id).await;
    assert_eq!(
        (message.direction, message.lane, message.status),
        (Direction::Outbound, Some(Lane::Otp), MessageStatus::Queued)
    );
    assert_eq!(message.chat_index, messages::chat_index(&session.keys, A));
    let open = message.open(&session.keys).unwrap();
    assert_eq!((open.chat.as_str(), open.peer.as_deref()), (A, Some("+15551234567")));
    assert_eq!(
        (open.body.as_deref(), open.secret),
        (Some(&b"hello"[..]), Some([7; 32]))
    );
    assert_eq!(open.metadata.as_deref(), Some(&b"{}"[..]));
    let other = subject.other_workspace().await;
    assert!(
        subject
            .read(move |tx| Box::pin(messages::get(tx, other, id)))
            .await
            .is_none()
    );
}

/// Somebody waits for a one-time password; nobody waits for a campaign.
pub async fn lanes_go_in_order_and_then_by_time(subject: &Subject) {
    let session = subject.session("s").await;
    let lanes = [
        Lane::Campaign,
        Lane::Interactive,
        Lane::Otp,
        Lane::Interactive,
        Lane::Otp,
    ];
    let new = lanes.iter().enumerate();
    let ids = subject
        .accept(
            new.map(|(n, lane)| subject.outbound(&session, *lane, &format!("{n}@lid")))
                .collect(),
        )
        .await;
    assert_eq!(subject.next(&session).await, [ids[2], ids[4], ids[1], ids[3], ids[0]]);
    let other = subject.session("other").await;
    assert!(subject.next(&other).await.is_empty());
}

/// One in flight per chat keeps the order that people see.
pub async fn a_chat_in_flight_holds_its_next_message_back(subject: &Subject) {
    let session = subject.session("s").await;
    let new = [A, A, B].map(|chat| subject.outbound(&session, Lane::Interactive, chat));
    let ids = subject.accept(new.to_vec()).await;
    assert!(subject.send(&session, ids[0]).await);
    assert_eq!(subject.next(&session).await, [ids[2]]);
    assert!(!subject.send(&session, ids[1]).await, "its chat is in flight");
    assert!(!subject.send(&session, ids[0]).await, "it is in flight itself");
    let (id, now, first) = (session.id, subject.now(), ids[0]);
    subject
        .write(move |tx| Box::pin(messages::advance(tx, id, first, MessageStatus::Sent, now, None)))
        .await
        .unwrap();
    assert_eq!(subject.next(&session).await, [ids[1], ids[2]]);
}

/// And the actor knows how long to sleep.
pub async fn a_message_is_not_sent_before_it_is_due(subject: &Subject) {
    let session = subject.session("s").await;
    let due = subject.now() + Duration::from_secs(60);
    let ids = subject
        .accept(vec![
            subject.outbound_at(&session, Lane::Otp, A, due, None),
            subject.outbound_at(&session, Lane::Campaign, B, due + Duration::from_secs(1), None),
        ])
        .await;
    assert!(subject.next(&session).await.is_empty());
    let (id, now) = (session.id, subject.now());
    assert_eq!(
        subject
            .read(move |tx| Box::pin(messages::next_due_at(tx, id, now)))
            .await,
        Some(due)
    );
    subject.clock.advance(Duration::from_secs(60));
    assert_eq!(subject.next(&session).await, [ids[0]]);
}

/// What was given a time by its caller keeps it.
pub async fn what_was_to_go_at_once_goes_after_the_clock_was_set_back(subject: &Subject) {
    let session = subject.session("s").await;
    let (ahead, hour) = (subject.now(), Duration::from_secs(3600));
    let ids = subject
        .accept(vec![
            subject.outbound_at(&session, Lane::Interactive, A, ahead, None),
            subject.outbound_at(&session, Lane::Interactive, B, ahead + hour, None),
            subject.outbound_at(&session, Lane::Otp, B, ahead, None),
        ])
        .await;
    let (id, fence, now) = (session.id, session.fence, ahead - 24 * hour);
    let stranded = async |now| {
        let found = subject.read(move |tx| Box::pin(messages::has_stranded(tx, id, now)));
        found.await
    };
    assert!(!stranded(ahead).await, "what has a time of its own is not stranded");
    assert!(stranded(now).await);
    assert!(due(subject, id, now).await.is_empty());
    for released in [2, 0] {
        let release =
            subject.write(move |tx| Box::pin(async move { messages::release_stranded(tx, &fence, now).await }));
        assert_eq!(release.await, released);
        assert!(!stranded(now).await);
        assert_eq!(due(subject, id, now).await, [ids[2], ids[0]]);
    }
}

/// The second message was accepted after the clock went back, and so has the earlier time.
pub async fn a_chat_keeps_its_order_when_the_clock_goes_back(subject: &Subject) {
    let session = subject.session("s").await;
    let now = subject.now();
    let earlier = now - Duration::from_millis(20);
    let ids = subject
        .accept(vec![
            subject.outbound_at(&session, Lane::Interactive, A, now, None),
            subject.outbound_at(&session, Lane::Interactive, B, now, None),
            subject.outbound_at(&session, Lane::Interactive, A, earlier, None),
        ])
        .await;
    assert_eq!(due(subject, session.id, now).await, [ids[0], ids[2], ids[1]]);
}

/// Those who were accepted before and after it was set back stand in one queue.
pub async fn a_release_is_in_the_order_of_acceptance(subject: &Subject) {
    let session = subject.session("s").await;
    let ahead = subject.now();
    let first = subject.outbound_at(&session, Lane::Interactive, A, ahead, None);
    let mut second = subject.outbound_at(&session, Lane::Interactive, B, ahead - Duration::from_secs(7200), None);
    second.created_at = second.due_at;
    let ids = subject.accept(vec![first, second]).await;
    for hours in [1, 3] {
        let (id, fence, now) = (session.id, session.fence, ahead - Duration::from_secs(3600 * hours));
        let release = messages::release_stranded;
        let released = subject.write(move |tx| Box::pin(async move { release(tx, &fence, now).await }));
        assert_eq!(released.await, 2, "set back by {hours} hours");
        assert_eq!(due(subject, id, now).await, ids);
    }
}

async fn due(subject: &Subject, session: SessionId, now: Timestamp) -> Vec<MessageId> {
    let found = subject.read(move |tx| Box::pin(messages::next_outbound(tx, session, now, 10)));
    found.await.into_iter().map(|row| row.id).collect()
}

/// Not offered, not taken, and ended by the sweep.
pub async fn an_expired_message_is_never_sent(subject: &Subject) {
    let session = subject.session("s").await;
    let (now, end) = (subject.now(), subject.now() + Duration::from_secs(1));
    let ids = subject
        .accept(vec![subject.outbound_at(&session, Lane::Otp, A, now, Some(end))])
        .await;
    subject.clock.advance(Duration::from_secs(1));
    assert!(subject.next(&session).await.is_empty());
    assert!(!subject.send(&session, ids[0]).await);
    let (id, now) = (session.id, subject.now());
    let ended = subject
        .write(move |tx| Box::pin(messages::expire_due(tx, id, now, "expired", 10)))
        .await;
    assert_eq!(ended.iter().map(|advance| advance.message.id).collect::<Vec<_>>(), ids);
    let expired = subject.message(ids[0]).await;
    assert_eq!(
        (expired.status, expired.code.as_deref()),
        (MessageStatus::Expired, Some("expired"))
    );
    let lines = subject
        .read(move |tx| Box::pin(async move { messages::timeline(tx, &expired).await }))
        .await;
    assert_eq!(lines.last().unwrap().code.as_deref(), Some("expired"));
}

/// Nobody acknowledged it, and its session is off.
pub async fn what_was_handed_over_expires_too(subject: &Subject) {
    let session = subject.session("s").await;
    let (now, end) = (subject.now(), subject.now() + Duration::from_secs(1));
    let timed = subject.outbound_at(&session, Lane::Otp, A, now, Some(end));
    let ids = subject
        .accept(vec![timed, subject.outbound(&session, Lane::Otp, B)])
        .await;
    for id in &ids {
        assert!(subject.send(&session, *id).await);
    }
    let (id, next) = (session.id, messages::next_in_flight_expiry_at);
    assert_eq!(subject.read(move |tx| Box::pin(next(tx, id))).await, Some(end));
    let expire = async || {
        let now = subject.now();
        subject
            .write(move |tx| Box::pin(messages::expire_in_flight(tx, id, now, "expired")))
            .await
    };
    assert!(expire().await.is_empty());
    subject.clock.advance(Duration::from_secs(1));
    let now = subject.now();
    let expired = messages::sessions_with_expired;
    let sessions = subject.read(move |tx| Box::pin(expired(tx, now))).await;
    assert_eq!(sessions, [(subject.workspace, id)]);
    assert_eq!(
        expire().await.iter().map(|one| one.message.id).collect::<Vec<_>>(),
        ids[..1]
    );
    assert_eq!(subject.read(move |tx| Box::pin(next(tx, id))).await, None);
}

/// After that it is too late.
pub async fn a_message_can_be_cancelled_only_while_it_is_queued(subject: &Subject) {
    let session = subject.session("s").await;
    let new = [A, B].map(|chat| subject.outbound(&session, Lane::Interactive, chat));
    let ids = subject.accept(new.to_vec()).await;
    assert!(subject.send(&session, ids[1]).await);
    let (workspace, now) = (subject.workspace, subject.now());
    let mut cancelled = Vec::new();
    for id in ids.clone() {
        cancelled.push(
            subject
                .write(move |tx| Box::pin(messages::cancel(tx, workspace, id, now)))
                .await
                .is_some(),
        );
    }
    assert_eq!(cancelled, [true, false]);
    let (other, id) = (subject.other_workspace().await, ids[0]);
    let foreign = subject
        .storage
        .write(Queue::Normal, move |tx| Box::pin(messages::cancel(tx, other, id, now)))
        .await;
    assert!(matches!(foreign, Err(StorageError::NotFound(_))), "{foreign:?}");
}

/// With the same ids, to be sent again.
pub async fn what_was_in_flight_is_found_after_a_crash(subject: &Subject) {
    let session = subject.session("s").await;
    let new = [A, B].map(|chat| subject.outbound(&session, Lane::Interactive, chat));
    let ids = subject.accept(new.to_vec()).await;
    assert!(subject.send(&session, ids[0]).await);
    let (id, fence, now, first) = (session.id, session.fence, subject.now(), ids[0]);
    subject
        .write(move |tx| Box::pin(async move { messages::note_resent(tx, &fence, first, now).await }))
        .await;
    let found = subject.read(move |tx| Box::pin(messages::in_flight(tx, id))).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].attempts), (ids[0], 2));
    assert_eq!(found[0].open(&session.keys).unwrap().secret, Some([7; 32]));
}

/// Nothing is dropped silently.
pub async fn a_postponed_message_waits_and_says_why(subject: &Subject) {
    let session = subject.session("s").await;
    let id = subject
        .accept(vec![subject.outbound(&session, Lane::Interactive, A)])
        .await[0];
    assert!(subject.send(&session, id).await);
    let (sid, now, retry) = (session.id, subject.now(), subject.now() + Duration::from_secs(30));
    let postponed = subject
        .write(move |tx| Box::pin(messages::postpone(tx, sid, id, retry, "time_locked", now)))
        .await;
    assert!(postponed);
    let waiting = subject.message(id).await;
    assert_eq!((waiting.status, waiting.retry_at), (MessageStatus::Queued, Some(retry)));
    assert_eq!(waiting.code.as_deref(), Some("time_locked"));
    assert!(subject.next(&session).await.is_empty());
    subject.clock.advance(Duration::from_secs(30));
    assert!(subject.send(&session, id).await);
    let sent = subject.message(id).await;
    assert_eq!((sent.attempts, sent.retry_at, sent.code), (2, None, None));
    let lines = subject
        .read(move |tx| Box::pin(async move { messages::timeline(tx, &waiting).await }))
        .await;
    let lines: Vec<_> = lines.iter().map(|line| (line.status, line.code.as_deref())).collect();
    let expected = [
        (MessageStatus::Queued, None),
        (MessageStatus::Sending, None),
        (MessageStatus::Queued, Some("time_locked")),
        (MessageStatus::Sending, None),
    ];
    assert_eq!(lines, expected);
}

/// A message that failed for now is not overtaken by the next one of its chat, neither while it waits nor when both
/// could go.
pub async fn a_waiting_message_is_not_overtaken_in_its_chat(subject: &Subject) {
    let session = subject.session("s").await;
    let new = [
        (A, Lane::Interactive),
        (A, Lane::Interactive),
        (B, Lane::Interactive),
        (A, Lane::Otp),
    ];
    let new = new.map(|(chat, lane)| subject.outbound(&session, lane, chat));
    let ids = subject.accept(new.to_vec()).await;
    assert!(subject.send(&session, ids[0]).await);
    let (sid, now, first) = (session.id, subject.now(), ids[0]);
    let retry = now + Duration::from_secs(30);
    let postponed = subject
        .write(move |tx| Box::pin(messages::postpone(tx, sid, first, retry, "engine_failed", now)))
        .await;
    assert!(postponed);
    assert_eq!(subject.next(&session).await, [ids[3], ids[2]]);
    subject.clock.advance(Duration::from_secs(30));
    assert_eq!(subject.next(&session).await, [ids[3], ids[2], ids[0]]);
    assert!(subject.send(&session, ids[0]).await);
    let now = subject.now();
    subject
        .write(move |tx| Box::pin(messages::advance(tx, sid, first, MessageStatus::Sent, now, None)))
        .await
        .unwrap();
    assert_eq!(subject.next(&session).await, [ids[3], ids[1], ids[2]]);
}

/// And still goes before what was accepted later.
pub async fn an_answer_ends_the_waiting_of_its_chat(subject: &Subject) {
    let session = subject.session("s").await;
    let new = [A, B, A].map(|chat| subject.outbound(&session, Lane::Interactive, chat));
    let ids = subject.accept(new.to_vec()).await;
    let (sid, now, retry) = (session.id, subject.now(), subject.now() + Duration::from_secs(3600));
    for id in [ids[0], ids[1]] {
        let postponed = subject
            .write(move |tx| Box::pin(messages::postpone(tx, sid, id, retry, "time_locked", now)))
            .await;
        assert!(postponed);
    }
    let chat = messages::chat_index(&session.keys, A);
    subject
        .write(move |tx| Box::pin(async move { messages::stop_waiting(tx, sid, &chat, now).await }))
        .await;
    assert_eq!(subject.next(&session).await, [ids[0]]);
}

/// WhatsApp delivers again what it was not told has arrived.
pub async fn an_inbound_message_is_stored_once(subject: &Subject) {
    let session = subject.session("s").await;
    let first = subject.inbound(&session, A, A, "3A01");
    let first_id = first.id;
    let again = subject.inbound(&session, A, A, "3A01");
    let other_sender = subject.inbound(&session, A, B, "3A01");
    let mut results = Vec::new();
    for message in [first, again, other_sender] {
        let insert = subject.write(move |tx| Box::pin(async move { messages::insert_inbound(tx, &message).await }));
        results.push(insert.await);
    }
    assert_eq!(results, [Inserted::New, Inserted::Duplicate(first_id), Inserted::New]);
    let stored = subject.message(first_id).await;
    assert_eq!(
        (stored.direction, stored.status),
        (Direction::Inbound, MessageStatus::Received)
    );
    assert_eq!(stored.open(&session.keys).unwrap().peer.as_deref(), Some(A));
}

/// Newest first, each once.
pub async fn lists_follow_their_filters_and_cursors(subject: &Subject) {
    let (one, two) = (subject.session("one").await, subject.session("two").await);
    let mut new = Vec::new();
    for number in 0..6 {
        let session = if number % 2 == 0 { &one } else { &two };
        new.push(subject.outbound(session, Lane::Interactive, if number < 4 { A } else { B }));
    }
    let ids = subject.accept(new).await;
    let received = subject.inbound(&one, A, A, "3A01");
    let received_id = received.id;
    subject
        .write(move |tx| Box::pin(async move { messages::insert_inbound(tx, &received).await }))
        .await;

    let all: Vec<_> = std::iter::once(received_id).chain(ids.iter().rev().copied()).collect();
    assert_eq!(listed(subject, MessageFilter::default()).await, all);
    let session = Some(one.id);
    let of_one = MessageFilter {
        session,
        ..MessageFilter::default()
    };
    assert_eq!(
        listed(subject, of_one.clone()).await,
        [received_id, ids[4], ids[2], ids[0]]
    );
    let chat = Some(messages::chat_index(&one.keys, A));
    let outbound = MessageFilter {
        chat,
        direction: Some(Direction::Outbound),
        ..of_one.clone()
    };
    assert_eq!(listed(subject, outbound).await, [ids[2], ids[0]]);
    let by_status = MessageFilter {
        status: Some(MessageStatus::Received),
        ..of_one
    };
    assert_eq!(listed(subject, by_status).await, [received_id]);
}

async fn listed(subject: &Subject, filter: MessageFilter) -> Vec<wharf_model::MessageId> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (workspace, filter, page) = (subject.workspace, filter.clone(), PageRequest { after, limit: 2 });
        let page = subject
            .read(move |tx| Box::pin(async move { messages::list(tx, workspace, &filter, &page).await }))
            .await;
        seen.extend(page.rows.iter().map(|message| message.id));
        after = page.next;
        if after.is_none() {
            return seen;
        }
    }
}

/// The digits of a one-time password are in no row once it is used.
pub async fn a_wiped_body_is_gone(subject: &Subject) {
    let session = subject.session("s").await;
    let id = subject.accept(vec![subject.outbound(&session, Lane::Otp, A)]).await[0];
    let sid = session.id;
    subject
        .write(move |tx| Box::pin(messages::wipe_body(tx, sid, id)))
        .await;
    let message = subject.message(id).await;
    assert_eq!(message.open(&session.keys).unwrap().body, None);
}

/// What the engine asks for when a device could not read a message.
pub async fn a_retry_receipt_finds_its_message_for_thirty_days(subject: &Subject) {
    let session = subject.session("s").await;
    let id = subject
        .accept(vec![subject.outbound(&session, Lane::Interactive, A)])
        .await[0];
    let whatsapp_id = subject.message(id).await.whatsapp_id;
    let mut found = Vec::new();
    for age in [Duration::ZERO, Duration::from_secs(30 * 24 * 3600 + 1)] {
        subject.clock.advance(age);
        let (sid, name) = (session.id, whatsapp_id.clone());
        let since = subject.now() - Duration::from_secs(30 * 24 * 3600);
        let message = subject
            .read(move |tx| Box::pin(async move { messages::find_by_whatsapp_id(tx, sid, &name, since).await }))
            .await;
        found.push(message.map(|message| message.id));
    }
    assert_eq!(found, [Some(id), None]);
}

/// Two owners never send the same row.
pub async fn a_stale_owner_cannot_take_a_message(subject: &Subject) {
    let session = subject.session("s").await;
    let id = subject
        .accept(vec![subject.outbound(&session, Lane::Interactive, A)])
        .await[0];
    let (sid, fence, now) = (session.id, session.fence, subject.now());
    subject
        .write(move |tx| Box::pin(sessions::claim(tx, sid, "other", None)))
        .await;
    let stale = subject
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { messages::mark_sending(tx, &fence, id, now).await })
        })
        .await;
    assert!(matches!(stale, Err(StorageError::StaleEpoch)), "{stale:?}");
    assert_eq!(subject.message(id).await.status, MessageStatus::Queued);
}

/// Whoever wakes finds the row.
pub async fn a_nudge_comes_after_the_commit(subject: &Subject) {
    let session = subject.session("s").await;
    let mut nudges = subject.storage.outbound_nudges();
    let new = [A, B].map(|chat| subject.outbound(&session, Lane::Interactive, chat));
    let ids = subject.accept(new.to_vec()).await;
    assert_eq!(nudges.recv().await.unwrap(), session.id);
    assert_eq!(subject.next(&session).await, ids);
    assert!(nudges.try_recv().is_err(), "one nudge per session and commit");
    let id = session.id;
    let depth = subject.read(move |tx| Box::pin(messages::queue_depth(tx, id))).await;
    assert_eq!(
        depth,
        [messages::QueueDepth {
            lane: Lane::Interactive,
            queued: 2
        }]
    );
}
