//! A code that was sent, as the cases of verifications work on it: short ways to send it and to try it.

use std::time::Duration;

use wharf_model::{Lane, MessageId, SystemEdges, VerificationId, WorkspaceId};

use super::Subject;
use super::subject::Linked;
use crate::verifications::{self, CheckResult, Checked, NewSend, NewVerification, Verification};
use crate::{Blind, WorkspaceKeys};

pub(super) const PHONE: &str = "+15551234567";
pub(super) const PURPOSE: &str = "login";
pub(super) const COUNTRY: &str = "US";
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// A verification that waits for its code, and its message.
pub(super) struct Sent {
    pub(super) workspace: WorkspaceId,
    pub(super) id: VerificationId,
    pub(super) message: MessageId,
}

/// How a workspace finds a phone.
pub(super) fn index(keys: &WorkspaceKeys, phone: &str) -> Blind {
    keys.blind("phone", phone)
}

/// The `n`th message of a verification, which a session sends to [`PHONE`] now.
pub(super) fn send_of(subject: &Subject, session: &Linked, keys: &WorkspaceKeys, sent: &Sent, n: u32) -> NewSend {
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

/// Accepts a code for [`PHONE`]: three tries, two messages, five minutes.
pub(super) async fn send(subject: &Subject, session: &Linked, purpose: &str, code: &str) -> Sent {
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

/// Tries a code.
pub(super) async fn check(subject: &Subject, id: VerificationId, code: &'static str) -> Option<Checked> {
    let (keys, now) = (subject.workspace_keys().await, subject.now());
    subject
        .write(move |tx| Box::pin(async move { verifications::check(tx, &keys, id, code, now).await }))
        .await
}

/// What came of a code that was compared; `None` when it was not.
pub(super) fn compared(checked: Option<Checked>) -> Option<(CheckResult, Verification)> {
    match checked {
        Some(Checked::Compared(result, verification)) => Some((result, verification)),
        _ => None,
    }
}
