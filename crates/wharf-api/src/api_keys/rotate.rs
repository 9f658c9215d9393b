//! `POST /api/api-keys/{id}/rotate`

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::{ApiKeyId, Timestamp};
use wharf_storage::StorageError;
use wharf_storage::api_keys::{NotRotated, Replaces, Rotation, changes};

use super::body::{ApiKeyBody, NewApiKeyBody};
use super::change;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, OptionalBody};
use crate::idempotency::{Answer, Once};
use crate::keys::ApiKey;
use crate::rules;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::ApiKeyIdText;

/// The shortest overlap, in seconds, of a key that rotates itself.
const LEAST_OF_ITS_OWN: u32 = 60;

/// How a key is to be rotated.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RotateApiKey {
    /// For how many seconds the text works on that the key has now; 0 ends it at once.
    #[garde(custom(rules::between(0, 604_800)))]
    #[schema(minimum = 0, maximum = 604800, default = 86400)]
    overlap_seconds: u32,
    /// Replaces the text of the last rotation, which nobody received: it ends at once, and the one before it works until the
    /// end of its own overlap, whatever `overlap_seconds` says.
    #[garde(skip)]
    #[schema(default = false)]
    replace_latest: bool,
}

impl Default for RotateApiKey {
    fn default() -> Self {
        Self {
            overlap_seconds: 86_400,
            replace_latest: false,
        }
    }
}

/// Rotate an API key
///
/// The same key, with its scopes and limits, gets a new text, which is in this answer and nowhere else. It works at once; the
/// one before works beside it for the overlap. A rotation within an overlap ends the text before the last at once, but with
/// `replace_latest`: that is for an answer that was lost. A key that rotates itself needs an overlap of 60 seconds at least.
#[utoipa::path(post, path = "/api/api-keys/{id}/rotate", tag = "API keys", security(("bearer" = ["admin"])),
    params(("id" = ApiKeyIdText, Path, description = "The key")),
    request_body = Option<RotateApiKey>,
    responses((status = 200, description = "The key, with its new text", body = NewApiKeyBody)))]
pub(crate) async fn rotate_api_key(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    Id(id): Id<ApiKeyId>,
    once: Once,
    OptionalBody { body, raw }: OptionalBody<RotateApiKey>,
) -> Result<Response, ApiError> {
    if caller.key_id() == Some(id) {
        require_way_back(&body)?;
    }
    let key = ApiKey::generate(state.network, &*state.random);
    let (change, rotation) = (change(&caller, id), rotation(&key, &body, state.clock.now()));
    let rotated = once.run_in_unit(&state, caller.workspace(), &raw, move |tx| {
        Box::pin(async move { changes::rotate(tx, change, &rotation).await })
    });
    let rotated = rotated.await.map_err(refused)?;
    state.authenticator.forget();
    let body = NewApiKeyBody {
        key: key.reveal().to_owned(),
        about: ApiKeyBody::new(rotated, state.authenticator.pending_usage(id)),
    };
    Ok(Answer::json(StatusCode::OK, &body)?.into_response())
}

/// Whoever loses the answer still has a key to ask with again.
fn require_way_back(request: &RotateApiKey) -> Result<(), ApiError> {
    if request.replace_latest || request.overlap_seconds >= LEAST_OF_ITS_OWN {
        return Ok(());
    }
    Err(ApiError::invalid_field(
        "/overlap_seconds",
        "out_of_range",
        format!(
            "Must be at least {LEAST_OF_ITS_OWN} where a key rotates itself: were the answer lost, no text would be left \
             that works."
        ),
    ))
}

fn rotation(key: &ApiKey, request: &RotateApiKey, at: Timestamp) -> Rotation {
    let replaces = if request.replace_latest {
        Replaces::Latest
    } else {
        Replaces::InUse {
            until: at + Duration::from_secs(u64::from(request.overlap_seconds)),
        }
    };
    Rotation {
        prefix: key.prefix(),
        hash: key.hash(),
        replaces,
        at,
    }
}

fn refused(error: StorageError) -> ApiError {
    match (error.rejection::<NotRotated>().copied(), error) {
        (Some(NotRotated::Ended), _) => ApiError::ApiKeyInactive,
        (Some(NotRotated::NoOverlap), _) => ApiError::invalid_field(
            "/replace_latest",
            "no_overlap",
            "No text works that the key had before its last rotation. Rotate the key without this.",
        ),
        (None, StorageError::NotFound(_)) => ApiError::ApiKeyNotFound,
        (None, other) => other.into(),
    }
}
