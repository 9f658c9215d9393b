//! Status moves forward, whatever order receipts arrive in.

use wharf_model::{Lane, MessageId, MessageStatus, SessionId, Timestamp};

use super::Subject;
use super::subject::Linked;
use crate::messages::{self, Advance, NamedStep};

const A: &str = "15550000001@s.whatsapp.net";
const B: &str = "15550000002@s.whatsapp.net";

async fn accepted(subject: &Subject) -> (Linked, MessageId) {
    let session = subject.session("s").await;
    let id = subject
        .accept(vec![subject.outbound(&session, Lane::Interactive, A)])
        .await[0];
    (session, id)
}

async fn advance(subject: &Subject, session: &Linked, id: MessageId, to: MessageStatus) -> Option<Advance> {
    let (sid, at) = (session.id, subject.now());
    subject
        .write(move |tx| Box::pin(messages::advance(tx, sid, id, to, at, None)))
        .await
}

fn step(whatsapp_id: &str, to: MessageStatus, at: Timestamp) -> NamedStep {
    let whatsapp_id = whatsapp_id.to_owned();
    NamedStep { whatsapp_id, to, at }
}

async fn named(subject: &Subject, session: SessionId, steps: Vec<NamedStep>) -> Vec<Option<Advance>> {
    subject
        .write(move |tx| Box::pin(async move { messages::advance_named(tx, session, &steps).await }))
        .await
}

/// A device that shows a message has it.
pub async fn a_read_receipt_implies_the_delivery(subject: &Subject) {
    let (session, id) = accepted(subject).await;
    advance(subject, &session, id, MessageStatus::Sent).await.unwrap();
    let (sid, at, name) = (session.id, subject.now(), subject.message(id).await.whatsapp_id);
    let read = named(subject, sid, vec![step(&name, MessageStatus::Read, at)]).await;
    let message = subject.message(id).await;
    let (from, as_stored) = (MessageStatus::Sent, message.clone());
    let expected = Advance {
        from,
        message: as_stored,
    };
    assert_eq!(read, [Some(expected)]);
    assert_eq!(message.status, MessageStatus::Read);
    assert_eq!((message.delivered_at, message.read_at), (Some(at), Some(at)));
}

/// Acks and receipts of several messages, some of them twice and one of a message that nobody knows: each step is taken
/// once, in order, and what is told of it is what stands in the row.
pub async fn a_batch_of_reports_is_taken_in_order(subject: &Subject) {
    let (session, first) = accepted(subject).await;
    let second = subject
        .accept(vec![subject.outbound(&session, Lane::Interactive, B)])
        .await[0];
    let names = [
        subject.message(first).await.whatsapp_id,
        subject.message(second).await.whatsapp_id,
    ];
    let at = subject.now();
    let steps = vec![
        step(&names[0], MessageStatus::Sent, at),
        step(&names[1], MessageStatus::Delivered, at),
        step("3EB0FFFFFFFFFFFFFFFF", MessageStatus::Sent, at),
        step(&names[0], MessageStatus::Read, at),
        step(&names[0], MessageStatus::Delivered, at),
        step(&names[1], MessageStatus::Delivered, at),
    ];
    let taken = named(subject, session.id, steps).await;
    let told: Vec<_> = taken
        .iter()
        .map(|one| one.as_ref().map(|one| (one.message.id, one.from, one.message.status)))
        .collect();
    let expected = [
        Some((first, MessageStatus::Queued, MessageStatus::Sent)),
        Some((second, MessageStatus::Queued, MessageStatus::Delivered)),
        None,
        Some((first, MessageStatus::Sent, MessageStatus::Read)),
        None,
        None,
    ];
    assert_eq!(told, expected);
    for (id, last) in [(first, 3), (second, 1)] {
        let stored = subject.message(id).await;
        assert_eq!(taken[last].as_ref().map(|one| &one.message), Some(&stored));
    }
}

/// Nor does a failure after the server has it.
pub async fn a_late_receipt_changes_nothing(subject: &Subject) {
    let (session, id) = accepted(subject).await;
    advance(subject, &session, id, MessageStatus::Read).await.unwrap();
    for late in [
        MessageStatus::Delivered,
        MessageStatus::Sent,
        MessageStatus::Read,
        MessageStatus::Failed,
    ] {
        assert_eq!(advance(subject, &session, id, late).await, None, "{late}");
    }
    let message = subject.message(id).await;
    assert_eq!(message.status, MessageStatus::Read);
    let lines = subject
        .read(move |tx| Box::pin(async move { messages::timeline(tx, &message).await }))
        .await;
    let steps: Vec<_> = lines.iter().map(|line| line.status).collect();
    // The receipt proves that the server has it, whether or not it has said so.
    assert_eq!(steps, [MessageStatus::Queued, MessageStatus::Sent, MessageStatus::Read]);
}

/// The row does what `MessageStatus::accepts` says, and its timeline tells of every step and no other.
pub async fn random_histories_never_go_back(subject: &Subject) {
    let mut seed = 0x5eed_u64;
    for _ in 0..40 {
        let (session, id) = accepted(subject).await;
        let (mut model, mut steps) = (MessageStatus::Queued, vec![MessageStatus::Queued]);
        for _ in 0..12 {
            let to = MessageStatus::ALL[(next(&mut seed) % MessageStatus::ALL.len() as u64) as usize];
            let taken = advance(subject, &session, id, to).await;
            assert_eq!(taken.is_some(), model.accepts(to), "{model} -> {to}");
            if taken.is_some() {
                if messages::implies_sent(model, to) {
                    steps.push(MessageStatus::Sent);
                }
                model = to;
                steps.push(to);
            }
        }
        let message = subject.message(id).await;
        assert_eq!(message.status, model);
        assert!(message.read_at.is_none() || message.delivered_at.is_some(), "{steps:?}");
        assert!(message.delivered_at.is_none() || message.sent_at.is_some(), "{steps:?}");
        let lines = subject
            .read(move |tx| Box::pin(async move { messages::timeline(tx, &message).await }))
            .await;
        assert_eq!(lines.iter().map(|line| line.status).collect::<Vec<_>>(), steps);
    }
}

/// xorshift64: the histories are the same at every run.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}
