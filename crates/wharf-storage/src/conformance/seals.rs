//! The promises of sealed values.

use wharf_model::{EventId, MessageId, SystemEdges};

use super::Subject;
use crate::{MasterKey, Place, SealError, Sealed};

/// Not in another column, row or table, not changed, not under another key.
pub async fn a_value_opens_only_in_its_place(subject: &Subject) {
    let (one, two) = (subject.session("one").await, subject.session("two").await);
    let id = MessageId::generate(&SystemEdges, &SystemEdges);
    let sealed = one.keys.seal_body(id, b"words").unwrap();
    assert_eq!(one.keys.open_body(id, &sealed).unwrap(), b"words");
    let event = EventId::from_bytes(*id.as_bytes());
    let elsewhere = [
        Place::message(id, "chat"),
        Place::event(event),
        Place::session(one.id, "body"),
    ];
    for place in elsewhere {
        assert_eq!(one.keys.open(&place, &sealed), Err(SealError::Tampered), "{place:?}");
    }
    assert_eq!(two.keys.open_body(id, &sealed), Err(SealError::OtherKey));
    for position in 0..sealed.as_bytes().len() {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[position] ^= 1;
        assert!(
            one.keys.open_body(id, &Sealed::from_bytes(bytes)).is_err(),
            "byte {position}"
        );
    }
    for length in 0..sealed.as_bytes().len() {
        let cut = Sealed::from_bytes(sealed.as_bytes()[..length].to_vec());
        assert!(one.keys.open_body(id, &cut).is_err(), "{length} bytes");
    }
    assert_ne!(
        one.keys.seal_body(id, b"words").unwrap(),
        sealed,
        "a nonce is never used twice"
    );
}

/// Equal for equal questions only.
pub async fn blind_indexes_differ_between_sessions_and_kinds(subject: &Subject) {
    let (one, two) = (subject.session("one").await, subject.session("two").await);
    let index = one.keys.blind("chat", "a@lid");
    assert_eq!(one.keys.blind("chat", "a@lid"), index);
    assert_ne!(one.keys.blind("sender", "a@lid"), index);
    assert_ne!(one.keys.blind("chata", "@lid"), index);
    assert_ne!(two.keys.blind("chat", "a@lid"), index);
    assert_ne!(
        one.keys.blind_state("chat", b"a@lid"),
        index,
        "signal state has a key of its own"
    );
}

/// Logs are written with `Debug`.
pub async fn debug_output_shows_no_secret(subject: &Subject) {
    let session = subject.session("s").await;
    let master = MasterKey::from_bytes([0xab; 32]);
    let shown = format!("{master:?} {:?} {:?}", session.keys, subject.storage);
    assert!(
        shown.contains("***") && !shown.contains("171") && !shown.to_lowercase().contains("abab"),
        "{shown}"
    );
}

/// No sealed value is rewritten.
pub async fn a_new_master_key_opens_everything_old(subject: &Subject) {
    let session = subject.session("s").await;
    let id = MessageId::generate(&SystemEdges, &SystemEdges);
    let sealed = session.keys.seal_body(id, b"words").unwrap();
    let wrapped_before = subject.new_session("wrapped under the old key");
    subject
        .storage
        .rotate_master_key(MasterKey::from_bytes([9; 32]))
        .await
        .unwrap();
    let keys = subject.storage.session_keys(session.id).await.unwrap();
    assert_eq!(keys.open_body(id, &sealed).unwrap(), b"words");
    let late = subject
        .storage
        .write(crate::Queue::Normal, move |tx| {
            Box::pin(async move { crate::sessions::create(tx, &wrapped_before).await })
        })
        .await;
    assert!(
        late.is_err(),
        "a key that only the old master key opens must not be stored"
    );
    subject.session("made under the new key").await;
}

/// However many start at once.
pub async fn the_default_workspace_is_made_once(subject: &Subject) {
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let storage = subject.storage.clone();
            tokio::spawn(async move { storage.ensure_default_workspace().await.unwrap().id })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), subject.workspace);
    }
}
