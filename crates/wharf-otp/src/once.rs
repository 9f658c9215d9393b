//! One request, one effect: the claim of an idempotency key, the effect and the stored answer are one unit of work. The answer
//! is known only inside it, so that it is written down and sealed there.

use std::sync::Arc;
use std::time::Duration;

use wharf_model::Timestamp;
use wharf_session::{IdempotencyError, Idempotent, Outcome, Render};
use wharf_storage::idempotency::{self, Answer, Claim, IdempotencyKey};
use wharf_storage::{StorageError, Tx, WorkspaceKeys};

use crate::error::OtpError;

/// A key that is to be claimed, and how long its answer is repeated.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    claim: IdempotencyKey,
    keys: Arc<WorkspaceKeys>,
    now: Timestamp,
    kept: Duration,
}

/// A key with the way to write its answer down; nothing for requests that brought none.
pub(crate) type Once<V> = Option<(Key, Render<V>)>;

/// What a request brought.
pub(crate) fn once<V>(
    request: Option<Idempotent<V>>,
    keys: &Arc<WorkspaceKeys>,
    (now, kept): (Timestamp, Duration),
) -> Once<V> {
    request.map(|Idempotent { claim, render }| {
        let key = Key {
            claim,
            keys: Arc::clone(keys),
            now,
            kept,
        };
        (key, render)
    })
}

/// Carries the finding of a claim out of a unit that is rolled back.
#[derive(Debug, thiserror::Error)]
#[error("the idempotency key was used before")]
struct Used(Claim);

/// The answer could not be written down.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be written down")]
struct NotRendered(String);

impl Key {
    /// Inside the unit, before the effect: rolls the unit back when the key was used.
    pub(crate) async fn claim(&self, tx: &mut Tx) -> Result<(), StorageError> {
        match idempotency::claim(tx, &self.claim, self.now, self.now + self.kept).await? {
            Claim::Fresh => Ok(()),
            used => Err(StorageError::rejected(Used(used))),
        }
    }

    /// Inside the unit, after the effect: keeps the answer that will be repeated.
    pub(crate) async fn keep(&self, tx: &mut Tx, answer: &[u8]) -> Result<(), StorageError> {
        let sealed = idempotency::seal_answer(&self.keys, &self.claim.key, answer)?;
        let (workspace, key) = (self.claim.workspace_id, &self.claim.key);
        idempotency::finish(tx, workspace, key, &Answer::Sealed(sealed), self.now + self.kept).await
    }

    /// Inside the unit, where there is no answer to be repeated: the key may be used again.
    pub(crate) async fn give_back(&self, tx: &mut Tx) -> Result<(), StorageError> {
        idempotency::release(tx, self.claim.workspace_id, &self.claim.key).await
    }
}

/// Writes an answer down.
pub(crate) fn rendered<V>(render: Render<V>, value: &V) -> Result<Vec<u8>, StorageError> {
    render(value).map_err(|error| StorageError::rejected(NotRendered(error.to_string())))
}

/// Outside of the unit: reads a roll-back for what was found under the key.
pub(crate) fn outcome<V>(
    keys: &WorkspaceKeys,
    key: Option<&Key>,
    written: Result<V, StorageError>,
) -> Result<Outcome<V>, OtpError> {
    let error = match written {
        Ok(value) => return Ok(Outcome::New(value)),
        Err(error) => error,
    };
    if let Some(NotRendered(cause)) = error.rejection::<NotRendered>() {
        return Err(IdempotencyError::Render(cause.clone().into()).into());
    }
    let (Some(Used(claim)), Some(key)) = (error.rejection::<Used>(), key) else {
        return Err(OtpError::Storage(error));
    };
    Err(match claim {
        Claim::Replay(answer) => {
            let opened = idempotency::open_answer(keys, &key.claim.key, answer);
            return opened.map(Outcome::Replayed).map_err(OtpError::Storage);
        }
        Claim::InProgress | Claim::Fresh => IdempotencyError::InProgress.into(),
        Claim::Mismatch => IdempotencyError::Mismatch.into(),
        Claim::SecretShown => IdempotencyError::SecretShown.into(),
    })
}
