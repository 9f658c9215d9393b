//! The promises of the signal state table.

use wharf_model::Timestamp;

use super::Subject;
use super::subject::Linked;
use crate::wa_state::{self, StateRow};
use crate::{Queue, SealError, StorageError, sessions};

fn row(session: &Linked, kind: &str, name: &str, value: &[u8]) -> StateRow {
    let key = session.keys.blind_state(kind, name.as_bytes()).as_bytes().to_vec();
    let value = session.keys.seal_state(kind, &key, value).unwrap();
    StateRow {
        kind: kind.to_owned(),
        key,
        owner: None,
        rank: None,
        expires_at: None,
        value,
    }
}

async fn put(subject: &Subject, session: &Linked, row: &StateRow) {
    let (fence, row) = (session.fence, row.clone());
    subject
        .storage
        .write(Queue::SignalState, move |tx| {
            Box::pin(async move { wa_state::put(tx, &fence, &row).await })
        })
        .await
        .unwrap();
}

async fn get(subject: &Subject, session: &Linked, kind: &'static str, key: &[u8]) -> Option<StateRow> {
    let (id, key) = (session.id, key.to_vec());
    subject
        .read(move |tx| Box::pin(async move { wa_state::get(tx, id, kind, &key).await }))
        .await
}

/// Of this session and kind only.
pub async fn a_row_reads_back_and_is_replaced(subject: &Subject) {
    let (one, two) = (subject.session("one").await, subject.session("two").await);
    let first = row(&one, "session", "15551234567:1", b"first");
    put(subject, &one, &first).await;
    assert_eq!(get(subject, &one, "session", &first.key).await, Some(first.clone()));
    assert_eq!(get(subject, &one, "identity", &first.key).await, None);
    assert_eq!(get(subject, &two, "session", &first.key).await, None);
    let second = row(&one, "session", "15551234567:1", b"second");
    put(subject, &one, &second).await;
    let stored = get(subject, &one, "session", &first.key).await.unwrap();
    assert_eq!(
        one.keys.open_state("session", &stored.key, &stored.value).unwrap(),
        b"second"
    );
    let id = one.id;
    assert_eq!(
        subject
            .read(move |tx| Box::pin(wa_state::count(tx, id, "session")))
            .await,
        1
    );
}

/// A pre-key that was used stays used.
pub async fn replace_never_brings_a_deleted_row_back(subject: &Subject) {
    let session = subject.session("s").await;
    let stored = row(&session, "prekey", "7", b"key");
    put(subject, &session, &stored).await;
    let (fence, again) = (session.fence, stored.clone());
    let answers = subject
        .write(move |tx| {
            Box::pin(async move {
                let there = wa_state::replace(tx, &fence, &again).await?;
                let deleted = wa_state::delete(tx, &fence, "prekey", &again.key).await?;
                let gone = wa_state::replace(tx, &fence, &again).await?;
                Ok((there, deleted, gone))
            })
        })
        .await;
    assert_eq!(answers, (true, true, false));
    assert_eq!(get(subject, &session, "prekey", &stored.key).await, None);
}

/// Taking is reading and deleting in one step.
pub async fn one_of_two_takers_gets_the_row(subject: &Subject) {
    let session = subject.session("s").await;
    let stored = row(&session, "sent", "3EB0", b"payload");
    put(subject, &session, &stored).await;
    let mut takers = Vec::new();
    for _ in 0..8 {
        let (storage, fence, key) = (subject.storage.clone(), session.fence, stored.key.clone());
        takers.push(tokio::spawn(async move {
            let unit = storage.write(Queue::SignalState, move |tx| {
                Box::pin(async move { wa_state::take(tx, &fence, "sent", &key).await })
            });
            unit.await.unwrap()
        }));
    }
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(taker.await.unwrap());
    }
    assert_eq!(taken, [stored]);
}

/// The three look-ups beside the key.
pub async fn owners_ranks_and_expiry_find_their_rows(subject: &Subject) {
    let session = subject.session("s").await;
    let owner = session.keys.blind_state("phone", b"15551234567").as_bytes().to_vec();
    let mut rows = Vec::new();
    for (rank, name) in ["a", "b", "c"].into_iter().enumerate() {
        let mut row = row(&session, "lid", name, b"v");
        row.rank = Some(rank as i64);
        row.owner = (rank < 2).then(|| owner.clone());
        row.expires_at = (rank > 0).then(|| Timestamp::from_secs(rank as i64 * 100));
        put(subject, &session, &row).await;
        rows.push(row);
    }
    let (id, theirs) = (session.id, owner.clone());
    let (by_owner, has, newest, max, listed) = subject
        .read(move |tx| {
            Box::pin(async move {
                Ok((
                    wa_state::list_by_owner(tx, id, "lid", &theirs).await?,
                    wa_state::has_owner(tx, id, "lid", b"nobody").await?,
                    wa_state::newest(tx, id, "lid").await?,
                    wa_state::max_rank(tx, id, "lid").await?,
                    wa_state::list(tx, id, "lid").await?.len(),
                ))
            })
        })
        .await;
    assert_eq!(by_owner, [rows[1].clone(), rows[0].clone()]);
    assert_eq!((has, newest, max, listed), (false, Some(rows[2].clone()), Some(2), 3));
    let fence = session.fence;
    let (expired, of_owner, rest) = subject
        .write(move |tx| {
            Box::pin(async move {
                Ok((
                    wa_state::delete_expired(tx, &fence, "lid", Timestamp::from_secs(100)).await?,
                    wa_state::delete_owner(tx, &fence, "lid", &owner).await?,
                    wa_state::delete_kind(tx, &fence, "lid").await?,
                ))
            })
        })
        .await;
    assert_eq!((expired, of_owner, rest), (1, 1, 1));
}

/// With a unit that fails behind it, too.
pub async fn a_batch_is_all_or_nothing(subject: &Subject) {
    let session = subject.session("s").await;
    let rows: Vec<_> = (0..50)
        .map(|number| row(&session, "session", &number.to_string(), b"v"))
        .collect();
    let (fence, batch, id) = (session.fence, rows.clone(), session.id);
    let undone: Result<(), _> = subject
        .storage
        .write(Queue::SignalState, move |tx| {
            Box::pin(async move {
                wa_state::put_many(tx, &fence, &batch).await?;
                Err(StorageError::NotFound("reason to go on"))
            })
        })
        .await;
    assert!(undone.is_err());
    assert_eq!(
        subject
            .read(move |tx| Box::pin(wa_state::count(tx, id, "session")))
            .await,
        0
    );
    let (batch, keys) = (rows.clone(), rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>());
    subject
        .write(move |tx| Box::pin(async move { wa_state::put_many(tx, &fence, &batch).await }))
        .await;
    let wanted = keys.clone();
    let found = subject
        .read(move |tx| Box::pin(async move { wa_state::get_many(tx, id, "session", &wanted).await }))
        .await;
    assert_eq!(found, rows);
    let deleted = subject
        .write(move |tx| Box::pin(async move { wa_state::delete_many(tx, &fence, "session", &keys).await }))
        .await;
    assert_eq!(deleted, 50);
}

/// A node that lost its lease cannot write, however late it wakes up.
pub async fn a_stale_epoch_writes_nothing(subject: &Subject) {
    let session = subject.session("s").await;
    let stored = row(&session, "session", "a", b"old");
    put(subject, &session, &stored).await;
    let (id, fence) = (session.id, session.fence);
    subject
        .write(move |tx| Box::pin(sessions::claim(tx, id, "other", None)))
        .await;
    let newer = row(&session, "session", "a", b"new");
    let key = stored.key.clone();
    let put = subject
        .storage
        .write(Queue::SignalState, move |tx| {
            Box::pin(async move { wa_state::put(tx, &fence, &newer).await })
        })
        .await;
    let take = subject
        .storage
        .write(Queue::SignalState, move |tx| {
            Box::pin(async move { wa_state::take(tx, &fence, "session", &key).await })
        })
        .await;
    let clear = subject.storage.write(Queue::SignalState, move |tx| {
        Box::pin(async move { wa_state::delete_all(tx, &fence).await })
    });
    assert!(matches!(put, Err(StorageError::StaleEpoch)), "{put:?}");
    assert!(matches!(take, Err(StorageError::StaleEpoch)), "{take:?}");
    assert!(matches!(clear.await, Err(StorageError::StaleEpoch)));
    assert_eq!(get(subject, &session, "session", &stored.key).await, Some(stored));
}

/// The database cannot be used to swap one person's ratchet for another's.
pub async fn a_value_moved_to_another_row_does_not_open(subject: &Subject) {
    let session = subject.session("s").await;
    let (a, b) = (
        row(&session, "session", "a", b"of a"),
        row(&session, "session", "b", b"of b"),
    );
    let moved = StateRow {
        value: a.value.clone(),
        ..b
    };
    put(subject, &session, &moved).await;
    let stored = get(subject, &session, "session", &moved.key).await.unwrap();
    let opened = session.keys.open_state("session", &stored.key, &stored.value);
    assert_eq!(opened, Err(SealError::Tampered));
}
