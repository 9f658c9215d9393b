//! One request, one effect: the claim of an idempotency key, the effect and the stored answer are one unit of work.

use std::sync::Arc;
use std::time::Duration;

use wharf_model::Timestamp;
use wharf_storage::idempotency::{self, Answer, Claim, IdempotencyKey};
use wharf_storage::{Storage, StorageError, Tx, WorkspaceKeys};

/// How long an answer is repeated.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A request that may come twice, and how its answer is written down. The caller decides the form of the answer; it is
/// stored sealed and given back byte for byte.
pub struct Idempotent<V> {
    /// What the request is known by.
    pub claim: IdempotencyKey,
    /// Writes the answer down.
    pub render: Render<V>,
}

/// Writes an answer down in its caller's own form.
pub type Render<V> = Box<dyn FnOnce(&V) -> Result<Vec<u8>, BoxError> + Send>;

/// What a caller's own code may answer with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<V> std::fmt::Debug for Idempotent<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idempotent").finish_non_exhaustive()
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<V> {
    /// It took effect now.
    New(V),
    /// It took effect before; the answer that was stored then.
    Replayed(Vec<u8>),
}

/// Why an idempotency key was refused.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// The first use has not ended.
    #[error("a request with the same idempotency key is in progress")]
    InProgress,
    /// The first use was another request.
    #[error("the idempotency key was used for another request")]
    Mismatch,
    /// The first answer held a secret that is shown once.
    #[error("the answer held a secret that is shown once")]
    SecretShown,
    /// The answer could not be written down; nothing took effect.
    #[error("the answer could not be written down")]
    Render(#[source] BoxError),
}

/// A claim with its answer sealed: all that a unit of work needs.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    claim: IdempotencyKey,
    answer: Answer,
    keys: Arc<WorkspaceKeys>,
    now: Timestamp,
}

impl Prepared {
    /// Renders and seals the answer that will stand if the effect takes place.
    pub(crate) async fn new<V>(storage: &Storage, request: Idempotent<V>, value: &V) -> Result<Self, Refused> {
        let Idempotent { claim, render } = request;
        let rendered = render(value).map_err(|error| Refused::Key(IdempotencyError::Render(error)))?;
        let keys = storage
            .workspace_keys(claim.workspace_id)
            .await
            .map_err(Refused::Storage)?;
        let answer = idempotency::seal_answer(&keys, &claim.key, &rendered).map_err(Refused::Storage)?;
        Ok(Self {
            claim,
            answer: Answer::Sealed(answer),
            keys,
            now: storage.clock().now(),
        })
    }

    /// Inside the unit, before the effect: rolls the unit back when the key was used.
    pub(crate) async fn claim(&self, tx: &mut Tx) -> Result<(), StorageError> {
        let claim = idempotency::claim_answered(tx, &self.claim, &self.answer, self.now, self.now + KEPT).await?;
        match claim {
            Claim::Fresh => Ok(()),
            used => Err(StorageError::rejected(Used(used))),
        }
    }

    /// Outside the unit: reads a roll-back of [`Prepared::claim`].
    pub(crate) fn used(&self, error: &StorageError) -> Option<Result<Vec<u8>, Refused>> {
        let Used(claim) = error.rejection::<Used>()?;
        Some(match claim {
            Claim::Replay(answer) => {
                idempotency::open_answer(&self.keys, &self.claim.key, answer).map_err(Refused::Storage)
            }
            Claim::InProgress | Claim::Fresh => Err(Refused::Key(IdempotencyError::InProgress)),
            Claim::Mismatch => Err(Refused::Key(IdempotencyError::Mismatch)),
            Claim::SecretShown => Err(Refused::Key(IdempotencyError::SecretShown)),
        })
    }
}

#[derive(Debug)]
pub(crate) enum Refused {
    Key(IdempotencyError),
    Storage(StorageError),
}

impl Refused {
    pub(crate) fn into_error<E: From<IdempotencyError> + From<StorageError>>(self) -> E {
        match self {
            Self::Key(error) => error.into(),
            Self::Storage(error) => error.into(),
        }
    }
}

/// Carries the finding of a claim out of a unit that is rolled back.
#[derive(Debug, thiserror::Error)]
#[error("the idempotency key was used before")]
struct Used(Claim);

/// Runs the reading of a roll-back for a caller's own error type.
pub(crate) fn outcome<V, E>(prepared: Option<&Prepared>, written: Result<V, StorageError>) -> Result<Outcome<V>, E>
where
    E: From<IdempotencyError> + From<StorageError>,
{
    let error = match written {
        Ok(value) => return Ok(Outcome::New(value)),
        Err(error) => error,
    };
    match prepared.and_then(|prepared| prepared.used(&error)) {
        Some(Ok(answer)) => Ok(Outcome::Replayed(answer)),
        Some(Err(refused)) => Err(refused.into_error()),
        None => Err(error.into()),
    }
}
