//! `POST /api/api-keys/{id}/rotate`

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::{ApiKeyId, WorkspaceId};
use wharf_storage::api_keys::{self, Rotation};
use wharf_storage::audit::{self, Action, AuditEntry, Requester};
use wharf_storage::{Queue, StorageError};

use super::body::{ApiKeyBody, NewApiKeyBody};
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody};
use crate::idempotency::{Answer, Keep, Once};
use crate::keys::ApiKey;
use crate::rules;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::ApiKeyIdText;

/// How a key is to be rotated.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RotateApiKey {
    /// For how many seconds the text works on that the key has now; 0 ends it at once.
    #[garde(custom(rules::between(0, 604_800)))]
    #[schema(minimum = 0, maximum = 604800, default = 86400)]
    overlap_seconds: u32,
}

impl Default for RotateApiKey {
    fn default() -> Self {
        Self {
            overlap_seconds: 86_400,
        }
    }
}

/// Rotate an API key
///
/// The same key, with its scopes and limits, gets a new text, which is in this answer and nowhere else. It works at once; the
/// one before works beside it for the overlap. A rotation within an overlap ends the text before the last at once.
#[utoipa::path(post, path = "/api/api-keys/{id}/rotate", tag = "API keys", security(("bearer" = ["admin"])),
    params(("id" = ApiKeyIdText, Path, description = "The key")),
    request_body = Option<RotateApiKey>,
    responses((status = 200, description = "The key, with its new text", body = NewApiKeyBody)))]
pub(crate) async fn rotate_api_key(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<ApiKeyId>,
    once: Once,
    request: OptionalBody<RotateApiKey>,
) -> Result<Response, ApiError> {
    let rotating = Rotating {
        workspace: caller.workspace(),
        id,
        overlap: Duration::from_secs(u64::from(request.body.overlap_seconds)),
        by: caller.requester(),
    };
    let effect = rotating.run(state.clone());
    once.run(&state, &caller, &request.raw, Keep::Fact, effect).await
}

/// Which key is rotated, and by whom.
struct Rotating {
    workspace: WorkspaceId,
    id: ApiKeyId,
    overlap: Duration,
    by: Requester,
}

impl Rotating {
    async fn run(self, state: ApiState) -> Result<Answer, ApiError> {
        let (key, at, id) = (
            ApiKey::generate(state.network, &*state.random),
            state.clock.now(),
            self.id,
        );
        let rotation = Rotation {
            prefix: key.prefix(),
            hash: key.hash(),
            previous_until: at + self.overlap,
            at,
        };
        let about = self.store(&state, rotation).await?;
        let body = NewApiKeyBody {
            key: key.reveal().to_owned(),
            about: ApiKeyBody::new(about, state.authenticator.pending_usage(id)),
        };
        Answer::json(StatusCode::OK, &body)
    }

    async fn store(self, state: &ApiState, rotation: Rotation) -> Result<api_keys::ApiKey, ApiError> {
        let (workspace, id) = (self.workspace, self.id);
        let entry = AuditEntry {
            workspace,
            at: rotation.at,
            by: self.by,
            action: Action::ApiKeyRotated,
            session: None,
            api_key: Some(id),
        };
        let rotated = state
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    let rotated = api_keys::rotate(tx, workspace, id, &rotation).await?;
                    audit::append(tx, Some(&entry).filter(|_| rotated.is_some())).await?;
                    Ok(rotated)
                })
            })
            .await;
        let rotated = rotated.map_err(|error| match error {
            StorageError::NotFound(_) => ApiError::ApiKeyNotFound,
            other => other.into(),
        })?;
        state.authenticator.forget();
        rotated.ok_or(ApiError::ApiKeyInactive)
    }
}
