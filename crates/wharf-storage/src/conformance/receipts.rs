//! Status moves forward, whatever order receipts arrive in.

use wharf_model::{Lane, MessageId, MessageStatus};

use super::Subject;
use super::subject::Linked;
use crate::messages::{self, Advance};

const A: &str = "15550000001@s.whatsapp.net";

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

/// A device that shows a message has it.
pub async fn a_read_receipt_implies_the_delivery(subject: &Subject) {
    let (session, id) = accepted(subject).await;
    advance(subject, &session, id, MessageStatus::Sent).await.unwrap();
    let (sid, at, name) = (session.id, subject.now(), subject.message(id).await.whatsapp_id);
    let chat = messages::chat_index(&session.keys, A);
    let read = subject
        .write(move |tx| {
            Box::pin(async move {
                messages::advance_by_whatsapp_id(tx, sid, &name, Some(&chat), MessageStatus::Read, at).await
            })
        })
        .await;
    assert_eq!(
        read,
        Some(Advance {
            id,
            from: MessageStatus::Sent,
            to: MessageStatus::Read
        })
    );
    let message = subject.message(id).await;
    assert_eq!((message.delivered_at, message.read_at), (Some(at), Some(at)));
}

/// Nor does one for another chat, or a failure after the server has it.
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
    let (sid, at, name) = (session.id, subject.now(), subject.message(id).await.whatsapp_id);
    let elsewhere = messages::chat_index(&session.keys, "other@lid");
    let played = subject
        .write(move |tx| {
            Box::pin(async move {
                messages::advance_by_whatsapp_id(tx, sid, &name, Some(&elsewhere), MessageStatus::Played, at).await
            })
        })
        .await;
    assert_eq!(played, None);
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
