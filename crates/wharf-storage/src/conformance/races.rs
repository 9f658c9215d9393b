//! Many units on one row at once. SQLite runs them one after the other; PostgreSQL side by side, and what comes of them
//! must be the same. None may fail: a unit that gives way to another one is an error for its caller.

use std::future::Future;
use std::sync::Arc;

use wharf_model::{ApiKeyId, Lane, MessageStatus, SystemEdges, WorkspaceId};

use super::Subject;
use super::subject::Linked;
use crate::api_keys::{self, KeyUsage, NewApiKey};
use crate::messages::{self, Inserted};
use crate::sessions::{self, SessionPatch};
use crate::wa_state::{self, StateRow};
use crate::{MasterKey, Queue, Storage, StorageError};

const MANY: usize = 24;

/// Runs `unit` many times at once.
async fn at_once<T, F>(subject: &Subject, unit: impl Fn(Storage, usize) -> F) -> Vec<Result<T, StorageError>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StorageError>> + Send + 'static,
{
    let units: Vec<_> = (0..MANY)
        .map(|number| tokio::spawn(unit(subject.storage.clone(), number)))
        .collect();
    let mut results = Vec::new();
    for unit in units {
        results.push(unit.await.unwrap());
    }
    results
}

fn all<T>(results: Vec<Result<T, StorageError>>) -> Vec<T> {
    results.into_iter().map(Result::unwrap).collect()
}

fn row(session: &Linked, key: &[u8], value: &[u8]) -> StateRow {
    StateRow {
        kind: "count".to_owned(),
        key: key.to_vec(),
        owner: None,
        rank: None,
        expires_at: None,
        value: session.keys.seal_state("count", key, value).unwrap(),
    }
}

/// Acks and receipts arrive in any order, from any side.
pub async fn a_message_that_everybody_moves_never_goes_back(subject: &Subject) {
    let session = subject.session("s").await;
    let id = subject
        .accept(vec![subject.outbound(&session, Lane::Interactive, "a@s.whatsapp.net")])
        .await[0];
    assert!(subject.send(&session, id).await);
    let steps = [MessageStatus::Sent, MessageStatus::Delivered, MessageStatus::Read];
    let (session, now) = (session.id, subject.now());
    let taken = at_once(subject, |storage, number| async move {
        let to = steps[number % steps.len()];
        let unit = storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { messages::advance(tx, session, id, to, now, None).await })
        });
        unit.await
    });
    let taken: Vec<_> = all(taken.await).into_iter().flatten().collect();
    let message = subject.message(id).await;
    assert_eq!(message.status, MessageStatus::Read);
    let timeline = subject
        .read(move |tx| Box::pin(async move { messages::timeline(tx, &message).await }))
        .await;
    let statuses: Vec<_> = timeline.iter().map(|line| line.status).collect();
    assert!(statuses.windows(2).all(|pair| pair[0].accepts(pair[1])), "{statuses:?}");
    // Queued and sending, then every step that its taker was told of, and the one that a receipt proves.
    let implied = taken
        .iter()
        .filter(|step| messages::implies_sent(step.from, step.message.status));
    assert_eq!(statuses.len(), 2 + taken.len() + implied.count());
}

/// One message at a time is on the wire in a chat, and each is taken once.
pub async fn of_many_takers_one_sends(subject: &Subject) {
    let session = subject.session("s").await;
    let chat = "a@s.whatsapp.net";
    let ids = subject
        .accept(vec![
            subject.outbound(&session, Lane::Interactive, chat),
            subject.outbound(&session, Lane::Interactive, chat),
        ])
        .await;
    let (fence, now) = (session.fence, subject.now());
    let marked = at_once(subject, |storage, number| {
        let id = ids[number % 2];
        async move {
            let unit = storage.write(Queue::Normal, move |tx| {
                Box::pin(async move { messages::mark_sending(tx, &fence, id, now).await })
            });
            unit.await
        }
    });
    assert_eq!(all(marked.await).into_iter().filter(|marked| *marked).count(), 1);
}

/// A counter that every unit reads and writes.
pub async fn what_is_read_to_be_written_is_not_lost(subject: &Subject) {
    let session = Arc::new(subject.session("s").await);
    let counted = at_once(subject, |storage, _| {
        let session = Arc::clone(&session);
        async move {
            let unit = storage.write(Queue::SignalState, move |tx| {
                Box::pin(async move {
                    wa_state::alone(tx, &session.fence).await?;
                    let count = match wa_state::get(tx, session.id, "count", b"k").await? {
                        Some(row) => session.keys.open_state("count", b"k", &row.value)?[0],
                        None => 0,
                    };
                    wa_state::put(tx, &session.fence, &row(&session, b"k", &[count + 1])).await
                })
            });
            unit.await
        }
    });
    all(counted.await);
    let id = session.id;
    let stored = subject
        .read(move |tx| Box::pin(wa_state::get(tx, id, "count", b"k")))
        .await
        .unwrap();
    let count = session.keys.open_state("count", b"k", &stored.value).unwrap();
    assert_eq!(usize::from(count[0]), MANY);
}

/// Whatever was under way when the owner was replaced: once the new one writes, the old one does not.
pub async fn a_replaced_owner_writes_nothing_more(subject: &Subject) {
    let session = Arc::new(subject.session("s").await);
    let old: Vec<_> = (0..MANY)
        .map(|number| {
            let (storage, session) = (subject.storage.clone(), Arc::clone(&session));
            tokio::spawn(async move {
                let unit = storage.write(Queue::SignalState, move |tx| {
                    Box::pin(async move {
                        wa_state::put(
                            tx,
                            &session.fence,
                            &row(&session, b"k", &[u8::try_from(number).unwrap()]),
                        )
                        .await
                    })
                });
                unit.await
            })
        })
        .collect();
    let id = session.id;
    let fence = subject
        .write(move |tx| Box::pin(async move { sessions::claim(tx, id, "next", None).await }))
        .await;
    let new = row(&session, b"k", &[255]);
    subject
        .write(move |tx| Box::pin(async move { wa_state::put(tx, &fence, &new).await }))
        .await;
    for unit in old {
        let result = unit.await.unwrap();
        assert!(matches!(result, Ok(()) | Err(StorageError::StaleEpoch)), "{result:?}");
    }
    let stored = subject
        .read(move |tx| Box::pin(wa_state::get(tx, id, "count", b"k")))
        .await
        .unwrap();
    assert_eq!(session.keys.open_state("count", b"k", &stored.value).unwrap(), [255]);
}

/// The engine hands rows over in whatever order its maps have.
pub async fn batches_in_any_order_do_not_block_each_other(subject: &Subject) {
    let session = Arc::new(subject.session("s").await);
    let stored = at_once(subject, |storage, number| {
        let session = Arc::clone(&session);
        async move {
            let mut rows: Vec<_> = (0..20_u8).map(|key| row(&session, &[key], &[key])).collect();
            if number % 2 == 1 {
                rows.reverse();
            }
            let unit = storage.write(Queue::SignalState, move |tx| {
                Box::pin(async move { wa_state::put_many(tx, &session.fence, &rows).await })
            });
            unit.await
        }
    });
    all(stored.await);
}

/// Also when two batches name the same keys the other way round.
pub async fn uses_of_keys_add_up(subject: &Subject) {
    let mut ids = Vec::new();
    for number in 0..2_u8 {
        let id = ApiKeyId::generate(&SystemEdges, &SystemEdges);
        let key = new_key(subject.workspace, id, number, subject);
        subject
            .write(move |tx| Box::pin(async move { api_keys::insert(tx, &key).await }))
            .await;
        ids.push(id);
    }
    let now = subject.now();
    let used = at_once(subject, |storage, number| {
        let mut batch: Vec<_> = ids
            .iter()
            .map(|id| KeyUsage {
                key: *id,
                count: 2,
                last_used_at: now,
            })
            .collect();
        if number % 2 == 1 {
            batch.reverse();
        }
        async move {
            let unit = storage.write(Queue::Normal, move |tx| {
                Box::pin(async move { api_keys::record_usage(tx, &batch).await })
            });
            unit.await
        }
    });
    all(used.await);
    let workspace = subject.workspace;
    for id in ids {
        let key = subject
            .read(move |tx| Box::pin(api_keys::get(tx, workspace, id)))
            .await
            .unwrap();
        assert_eq!(key.usage_count, 2 * MANY as u64);
    }
}

fn new_key(workspace_id: WorkspaceId, id: ApiKeyId, number: u8, subject: &Subject) -> NewApiKey {
    NewApiKey {
        id,
        workspace_id,
        label: "key".to_owned(),
        prefix: "wharf_test".to_owned(),
        hash: [number; 32],
        scopes: Vec::new(),
        expires_at: None,
        ips: None,
        sessions: None,
        plan: None,
        created_by: None,
        created_at: subject.now(),
    }
}

/// WhatsApp delivers again while the first delivery is being stored.
pub async fn an_inbound_message_that_comes_many_times_is_stored_once(subject: &Subject) {
    let session = subject.session("s").await;
    let stored = at_once(subject, |storage, _| {
        let message = subject.inbound(&session, "a@lid", "a@lid", "3EB0AA");
        async move {
            let unit = storage.write(Queue::Normal, move |tx| {
                Box::pin(async move { messages::insert_inbound(tx, &message).await })
            });
            unit.await
        }
    });
    let new = all(stored.await)
        .into_iter()
        .filter(|inserted| *inserted == Inserted::New);
    assert_eq!(new.count(), 1);
}

/// The supervisor and an operator at once.
pub async fn two_that_shred_leave_one_key(subject: &Subject) {
    let session = subject.session("s").await.id;
    let shredded = at_once(subject, |storage, _| async move {
        storage.shred_session_signal_state(session).await
    });
    all(shredded.await);
    subject.storage.session_keys(session).await.unwrap();
}

/// Under the old master key or the new one, but never under one that is gone.
pub async fn sessions_made_during_a_rotation_open_after_it(subject: &Subject) {
    let made: Vec<_> = (0..MANY)
        .map(|_| {
            let (storage, session) = (subject.storage.clone(), subject.new_session("s"));
            tokio::spawn(async move {
                let id = session.id;
                let unit = storage.write(Queue::Normal, move |tx| {
                    Box::pin(async move { sessions::create(tx, &session).await })
                });
                unit.await.map(|()| id)
            })
        })
        .collect();
    subject
        .storage
        .rotate_master_key(MasterKey::from_bytes([9; 32]))
        .await
        .unwrap();
    for session in made {
        match session.await.unwrap() {
            Ok(id) => drop(subject.storage.session_keys(id).await.unwrap()),
            Err(error) => assert!(matches!(error, StorageError::Seal(_)), "{error:?}"),
        }
    }
}

/// What a patch does not name it does not take back.
pub async fn patches_of_different_fields_are_both_kept(subject: &Subject) {
    let session = subject.session("before").await;
    let (workspace, id, now) = (subject.workspace, session.id, subject.now());
    let sealed = session
        .keys
        .seal(&crate::Place::session(id, "metadata"), b"{}")
        .unwrap();
    let patched = at_once(subject, |storage, number| {
        let patch = if number % 2 == 0 {
            SessionPatch {
                name: Some("after".to_owned()),
                ..SessionPatch::default()
            }
        } else {
            SessionPatch {
                metadata: Some(Some(sealed.clone())),
                ..SessionPatch::default()
            }
        };
        async move {
            let unit = storage.write(Queue::Normal, move |tx| {
                Box::pin(async move { sessions::patch(tx, workspace, id, &patch, now).await })
            });
            unit.await
        }
    });
    all(patched.await);
    let stored = subject
        .read(move |tx| Box::pin(sessions::get(tx, workspace, id)))
        .await
        .unwrap();
    assert_eq!((stored.name.as_str(), stored.metadata.is_some()), ("after", true));
}
