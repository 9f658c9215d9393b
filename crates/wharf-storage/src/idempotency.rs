//! Idempotency keys: the claim commits with the effect, so one key has one effect, also across a crash.

use sha2::{Digest, Sha256};
use wharf_model::{Timestamp, WorkspaceId};

use crate::driver::value::params;
use crate::error::StorageError;
use crate::seal::{Place, Sealed, WorkspaceKeys};
use crate::unit::tx::Tx;

/// What a request is known by.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// Whose key.
    pub workspace_id: WorkspaceId,
    /// The header's value.
    pub key: String,
    /// From [`fingerprint`].
    pub fingerprint: [u8; 32],
}

/// What a claim found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key is the caller's: go on, and end with [`finish`] or [`release`].
    Fresh,
    /// Another call with the same key has not ended.
    InProgress,
    /// The answer of the first call; opens with [`open_answer`].
    Replay(Sealed),
    /// The first answer held a secret, of which only the fact was kept.
    SecretShown,
    /// The key was used for another request.
    Mismatch,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With this answer, from [`seal_answer`].
    Sealed(Sealed),
    /// With a secret that is shown once.
    SecretShown,
}

/// SHA-256 of what makes two requests the same.
pub fn fingerprint(method: &str, path: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [method.as_bytes(), path.as_bytes(), body] {
        // Lengths keep `("POST", "/a")` apart from `("POST/", "a")`.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Seals an answer (status, headers and body in the caller's own form) for its key.
///
/// # Errors
/// See [`crate::SealingKey::seal`].
pub fn seal_answer(keys: &WorkspaceKeys, key: &str, answer: &[u8]) -> Result<Sealed, StorageError> {
    Ok(keys.seal(&place(key), answer)?)
}

/// Opens what [`seal_answer`] made.
///
/// # Errors
/// See [`crate::SealingKey::open`].
pub fn open_answer(keys: &WorkspaceKeys, key: &str, sealed: &Sealed) -> Result<Vec<u8>, StorageError> {
    Ok(keys.open(&place(key), sealed)?)
}

fn place(key: &str) -> Place {
    Place::new("idempotency", key.as_bytes(), "answer")
}

/// Claims a key, or says what became of its first use. An expired use counts as none: `expires_at` bounds how long a
/// claim holds its key whose end could not be stored.
///
/// # Errors
/// The database failed.
pub async fn claim(
    tx: &mut Tx,
    key: &IdempotencyKey,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Claim, StorageError> {
    insert(tx, key, ("in_progress", None), now, expires_at).await
}

/// [`claim`] and [`finish`] in one statement, for a unit that knows its answer beforehand: on [`Claim::Fresh`] the answer
/// is stored, and the effect belongs in the same unit.
///
/// # Errors
/// The database failed.
pub async fn claim_answered(
    tx: &mut Tx,
    key: &IdempotencyKey,
    answer: &Answer,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Claim, StorageError> {
    insert(tx, key, columns(answer), now, expires_at).await
}

fn columns(answer: &Answer) -> (&'static str, Option<&Sealed>) {
    match answer {
        Answer::Sealed(sealed) => ("done", Some(sealed)),
        Answer::SecretShown => ("secret_shown", None),
    }
}

async fn insert(
    tx: &mut Tx,
    key: &IdempotencyKey,
    (state, answer): (&'static str, Option<&Sealed>),
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Claim, StorageError> {
    let claimed = tx
        .execute(
            "insert into idempotency (workspace_id, key, fingerprint, state, answer, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (workspace_id, key) do update set fingerprint = excluded.fingerprint, state = excluded.state,
                 answer = excluded.answer, created_at = excluded.created_at, expires_at = excluded.expires_at
             where idempotency.expires_at <= $6",
            params![
                &key.workspace_id,
                &key.key,
                &key.fingerprint,
                state,
                answer,
                now,
                expires_at
            ],
        )
        .await?;
    if claimed == 1 {
        Ok(Claim::Fresh)
    } else {
        first_use(tx, key).await
    }
}

async fn first_use(tx: &mut Tx, key: &IdempotencyKey) -> Result<Claim, StorageError> {
    let row = tx
        .first(
            "select fingerprint, state, answer from idempotency where workspace_id = $1 and key = $2",
            params![&key.workspace_id, &key.key],
        )
        .await?;
    // Given back by its holder just now, which only PostgreSQL shows: as good as in progress a moment ago.
    let Some(mut row) = row else {
        return Ok(Claim::InProgress);
    };
    let (fingerprint, state, answer): ([u8; 32], String, Option<Sealed>) = (row.take()?, row.take()?, row.take()?);
    if fingerprint != key.fingerprint {
        return Ok(Claim::Mismatch);
    }
    match (state.as_str(), answer) {
        ("done", Some(answer)) => Ok(Claim::Replay(answer)),
        ("secret_shown", _) => Ok(Claim::SecretShown),
        ("in_progress", _) => Ok(Claim::InProgress),
        _ => Err(StorageError::Unreadable("idempotency state")),
    }
}

/// Stores how the call ended, to be repeated until `expires_at`.
///
/// # Errors
/// [`StorageError::NotFound`] when the key was not claimed.
pub async fn finish(
    tx: &mut Tx,
    workspace: WorkspaceId,
    key: &str,
    answer: &Answer,
    expires_at: Timestamp,
) -> Result<(), StorageError> {
    let (state, answer) = columns(answer);
    let changed = tx
        .execute(
            "update idempotency set state = $3, answer = $4, expires_at = $5 where workspace_id = $1 and key = $2",
            params![&workspace, key, state, answer, expires_at],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StorageError::NotFound("idempotency key"))
    }
}

/// Gives a claimed key back: the call failed without an effect and may be tried again.
///
/// # Errors
/// The database failed.
pub async fn release(tx: &mut Tx, workspace: WorkspaceId, key: &str) -> Result<(), StorageError> {
    tx.execute(
        "delete from idempotency where workspace_id = $1 and key = $2 and state = 'in_progress'",
        params![&workspace, key],
    )
    .await?;
    Ok(())
}

/// Deletes at most `limit` expired keys. Says how many.
///
/// # Errors
/// The database failed.
pub async fn prune(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<u64, StorageError> {
    tx.execute(
        "delete from idempotency where (workspace_id, key) in (
             select workspace_id, key from idempotency where expires_at <= $1 order by expires_at limit $2)",
        params![now, i64::from(limit)],
    )
    .await
}
