//! `Idempotency-Key`: the same key with the same request has one effect and one answer, also across a restart.
//!
//! A key is claimed before the effect and finished after it; the effect runs in a task of its own, so that a caller who
//! hangs up does not leave a claim behind, and a claim whose end could not be stored lapses after
//! two minutes. Only successes are kept: a refused call had no effect and may be repeated.
//! Where the effect is one unit of work, of the facade or of this crate, claim and effect commit together: the one is there
//! when and only when the other is.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use wharf_model::{Timestamp, WorkspaceId};
use wharf_session::Idempotent;
use wharf_storage::idempotency::{self, Claim, IdempotencyKey, fingerprint};
use wharf_storage::{Queue, StorageError, Tx};

use crate::auth::Caller;
use crate::error::ApiError;
use crate::extract::Header;
use crate::state::ApiState;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY: usize = 255;
/// How long an answer is repeated; the facade keeps its own for as long.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a claim holds its key without an end: longer than any effect takes. A crash frees it at the next start; this
/// frees it when the end could not be stored.
pub const CLAIM_LASTS: Duration = Duration::from_secs(2 * 60);

/// Whether an answer may be kept for a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The answer, sealed.
    Answer,
    /// The fact only: the answer holds a secret.
    Fact,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Answer {
    /// A JSON answer.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(body).map_err(ApiError::internal)?;
        Ok(Self {
            status,
            body: body.into(),
        })
    }

    /// The form that is sealed: two bytes of status, then the body.
    fn to_stored(&self) -> Vec<u8> {
        [&self.status.as_u16().to_be_bytes(), &self.body[..]].concat()
    }

    /// Reads [`Self::to_stored`].
    pub(crate) fn from_stored(stored: &[u8]) -> Result<Self, ApiError> {
        let (status, body) = stored
            .split_first_chunk()
            .ok_or_else(|| ApiError::internal("a stored answer is cut"))?;
        Ok(Self {
            status: StatusCode::from_u16(u16::from_be_bytes(*status)).map_err(ApiError::internal)?,
            body: Bytes::copy_from_slice(body),
        })
    }

    /// The answer again, marked as such.
    pub(crate) fn replayed(self) -> Response {
        let mut response = self.into_response();
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (self.status, [json], self.body).into_response()
    }
}

/// The idempotency of one request.
#[derive(Debug)]
pub(crate) struct Once {
    key: Option<String>,
    method: String,
    path: String,
}

impl FromRequestParts<ApiState> for Once {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let text = Header::text(&parts.headers, KEY, ApiError::IdempotencyKeyInvalid)?;
        let printable = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.is_some_and(|text| !(1..=MAX_KEY).contains(&text.len()) || !printable(text)) {
            return Err(ApiError::IdempotencyKeyInvalid);
        }
        Ok(Self {
            key: text.map(ToOwned::to_owned),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
        })
    }
}

impl Once {
    /// What the request is known by, where it brought a key.
    fn claim_for(&self, workspace: WorkspaceId, body: &[u8]) -> Option<IdempotencyKey> {
        self.key.as_ref().map(|key| IdempotencyKey {
            workspace_id: workspace,
            key: key.clone(),
            fingerprint: fingerprint(&self.method, &self.path, body),
        })
    }

    /// The claim for an effect that is one unit of work of the facade: claim, effect and answer commit together.
    pub(crate) fn with_effect<V>(
        &self,
        workspace: WorkspaceId,
        body: &[u8],
        answer: impl FnOnce(&V) -> Result<Answer, ApiError> + Send + 'static,
    ) -> Option<Idempotent<V>> {
        self.claim_for(workspace, body).map(|claim| Idempotent {
            claim,
            render: Box::new(|value| Ok(answer(value)?.to_stored())),
        })
    }

    /// Runs an effect once that is one unit of work and whose answer holds a secret: claim and effect commit together, and
    /// of the answer only the fact is kept.
    ///
    /// # Errors
    /// What the effect says; a rejection that [`ApiError`] knows when the key was used.
    pub(crate) async fn run_in_unit<V, F>(
        &self,
        state: &ApiState,
        workspace: WorkspaceId,
        body: &[u8],
        effect: F,
    ) -> Result<V, StorageError>
    where
        V: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<V, StorageError>> + Send + 'static,
    {
        let (key, now) = (self.claim_for(workspace, body), state.clock.now());
        state
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    if let Some(key) = &key {
                        claim_secret(tx, key, now).await?;
                    }
                    effect(tx).await
                })
            })
            .await
    }

    /// Runs an effect once: the first call runs it, a repeat gets the first answer.
    ///
    /// # Errors
    /// What the effect says, or why the key cannot be used.
    pub(crate) async fn run(
        self,
        state: &ApiState,
        caller: &Caller,
        body: &[u8],
        keep: Keep,
        effect: impl Future<Output = Result<Answer, ApiError>> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let Some(key) = self.claim_for(caller.workspace(), body) else {
            return Ok(effect.await?.into_response());
        };
        match claim(state, &key).await? {
            Claim::Fresh => {}
            Claim::InProgress => return Err(ApiError::IdempotencyInProgress),
            Claim::SecretShown => return Err(ApiError::SecretAlreadyShown),
            Claim::Mismatch => return Err(ApiError::IdempotencyMismatch),
            Claim::Replay(sealed) => {
                let keys = state.storage.workspace_keys(key.workspace_id).await?;
                let stored = idempotency::open_answer(&keys, &key.key, &sealed)?;
                return Ok(Answer::from_stored(&stored)?.replayed());
            }
        }
        let claimed = Claimed {
            state: state.clone(),
            key,
            keep,
        };
        let task = tokio::spawn(claimed.conclude(effect));
        Ok(task.await.map_err(ApiError::internal)??.into_response())
    }
}

/// The first use of the key was another one than this call; the unit is rolled back.
#[derive(Debug, thiserror::Error)]
#[error("the idempotency key was used before")]
pub(crate) struct Used(Claim);

impl Used {
    /// What the caller is told.
    pub(crate) fn error(&self) -> ApiError {
        match self.0 {
            Claim::Fresh | Claim::InProgress => ApiError::IdempotencyInProgress,
            Claim::Mismatch => ApiError::IdempotencyMismatch,
            // Of such a call no answer is kept.
            Claim::SecretShown | Claim::Replay(_) => ApiError::SecretAlreadyShown,
        }
    }
}

async fn claim_secret(tx: &mut Tx, key: &IdempotencyKey, now: Timestamp) -> Result<(), StorageError> {
    let shown = idempotency::Answer::SecretShown;
    match idempotency::claim_answered(tx, key, &shown, now, now + KEPT).await? {
        Claim::Fresh => Ok(()),
        used => Err(StorageError::rejected(Used(used))),
    }
}

async fn claim(state: &ApiState, key: &IdempotencyKey) -> Result<Claim, ApiError> {
    let (key, now) = (key.clone(), state.clock.now());
    let expires_at = now + CLAIM_LASTS;
    let claimed = state
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { idempotency::claim(tx, &key, now, expires_at).await })
        })
        .await?;
    Ok(claimed)
}

/// A claim that must be finished or given back.
struct Claimed {
    state: ApiState,
    key: IdempotencyKey,
    keep: Keep,
}

impl Claimed {
    async fn conclude(self, effect: impl Future<Output = Result<Answer, ApiError>> + Send) -> Result<Answer, ApiError> {
        let outcome = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(effect)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(ApiError::internal("the effect panicked")));
        let kept = match &outcome {
            Ok(answer) => self.finish(answer).await,
            Err(_) => self.release().await,
        };
        if let Err(error) = kept {
            // The effect stands; only its answer cannot be repeated.
            tracing::error!(error.cause = %error, "the end of an idempotent call could not be stored");
        }
        outcome
    }

    async fn finish(&self, answer: &Answer) -> Result<(), StorageError> {
        let (workspace, key) = (self.key.workspace_id, self.key.key.clone());
        let stored = match self.keep {
            Keep::Fact => idempotency::Answer::SecretShown,
            Keep::Answer => {
                let keys = self.state.storage.workspace_keys(workspace).await?;
                idempotency::Answer::Sealed(idempotency::seal_answer(&keys, &key, &answer.to_stored())?)
            }
        };
        let (storage, expires_at) = (&self.state.storage, self.state.clock.now() + KEPT);
        storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { idempotency::finish(tx, workspace, &key, &stored, expires_at).await })
            })
            .await
    }

    async fn release(&self) -> Result<(), StorageError> {
        let (workspace, key) = (self.key.workspace_id, self.key.key.clone());
        let storage = &self.state.storage;
        storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { idempotency::release(tx, workspace, &key).await })
            })
            .await
    }
}
