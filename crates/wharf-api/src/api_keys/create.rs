//! `POST /api/api-keys`

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::ApiKeyId;
use wharf_storage::StorageError;
use wharf_storage::api_keys::changes::{self, NotIssued};
use wharf_storage::api_keys::{self, NewApiKey};
use wharf_storage::audit::Requester;

use super::body::{ApiKeyBody, NewApiKeyBody};
use crate::address::AddressRange;
use crate::auth::{Allowed, Caller};
use crate::error::{ApiError, FieldProblem, Pointer};
use crate::extract::Valid;
use crate::idempotency::{Answer, Once};
use crate::keys::ApiKey;
use crate::rules;
use crate::scope::{Administer, Scope};
use crate::state::ApiState;
use crate::wire::{PlanIdText, SessionIdText, Time};

/// A key to be made.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// What you call it.
    #[garde(custom(rules::text(1, rules::MAX_NAME)))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$", example = "checkout")]
    label: String,
    /// What it may do.
    #[garde(custom(rules::items(1, 32)))]
    #[schema(min_items = 1, max_items = 32)]
    scopes: Vec<Scope>,
    /// When it stops working; without it never.
    #[garde(skip)]
    expires_at: Option<Time>,
    /// Addresses or CIDR ranges that it works from; without them everywhere.
    #[garde(custom(rules::optional_items(1, 32)), custom(address_ranges))]
    #[schema(min_items = 1, max_items = 32, example = json!(["198.51.100.0/24"]))]
    ips: Option<Vec<String>>,
    /// Sessions that it may touch; without them all.
    #[garde(custom(rules::optional_items(1, 100)))]
    #[schema(min_items = 1, max_items = 100)]
    sessions: Option<Vec<SessionIdText>>,
    /// The plan that says how much it may use; without it as much as it likes.
    #[garde(skip)]
    plan: Option<PlanIdText>,
}

fn address_ranges(ips: &Option<Vec<String>>, (): &()) -> Result<(), garde::Error> {
    let broken = |ip: &&String| ip.parse::<AddressRange>().is_err();
    match ips.iter().flatten().find(broken) {
        Some(_) => Err(rules::fault(
            "invalid_address",
            "Each must be an IP address or a CIDR range.",
        )),
        None => Ok(()),
    }
}

/// Make an API key
///
/// The key's text is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/api-keys", tag = "API keys", security(("bearer" = ["admin"])),
    request_body = CreateApiKey,
    responses((status = 201, description = "The key, with its text", body = NewApiKeyBody)))]
pub(crate) async fn create_api_key(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<CreateApiKey>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    let key = ApiKey::generate(state.network, &*state.random);
    let new = new_key(&state, &caller, &key, body);
    let body = NewApiKeyBody {
        key: key.reveal().to_owned(),
        about: ApiKeyBody::new(store(&state, &once, &raw, new, caller.requester()).await?, None),
    };
    Ok(Answer::json(StatusCode::CREATED, &body)?.into_response())
}

fn new_key(state: &ApiState, caller: &Caller, key: &ApiKey, request: CreateApiKey) -> NewApiKey {
    let mut scopes = request.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let allowed = request.sessions.map(|ids| ids.into_iter().map(|id| id.0).collect());
    NewApiKey {
        id: ApiKeyId::generate(&*state.clock, &*state.random),
        workspace_id: caller.workspace(),
        label: request.label,
        prefix: key.prefix(),
        hash: key.hash(),
        scopes: scopes.into_iter().map(|scope| scope.as_str().to_owned()).collect(),
        expires_at: request.expires_at.map(|at| at.0),
        ips: request.ips,
        sessions: allowed,
        plan: request.plan.map(|plan| plan.0),
        created_by: Some(caller.name()),
        created_at: state.clock.now(),
    }
}

async fn store(
    state: &ApiState,
    once: &Once,
    raw: &[u8],
    new: NewApiKey,
    by: Requester,
) -> Result<api_keys::ApiKey, ApiError> {
    // What a key needs is looked at after the claim: a repeat gets the first answer, whatever has become of the time and the
    // sessions.
    let issued = once.run_in_unit(state, new.workspace_id, raw, move |tx| {
        Box::pin(async move { changes::issue(tx, &new, &by).await })
    });
    issued.await.map_err(refused)
}

/// What a key cannot be given is a fault of the request.
pub(super) fn refused(error: StorageError) -> ApiError {
    match (error.rejection::<NotIssued>().copied(), error) {
        (Some(NotIssued::Expired), _) => {
            ApiError::invalid_field("/expires_at", "in_the_past", "Must lie in the future.")
        }
        (Some(NotIssued::UnknownSession { index, .. }), _) => {
            let pointer = Pointer::default().join("sessions").join(&index.to_string());
            let fault = FieldProblem::new(pointer, "unknown_session", "No session of this workspace has this id.");
            ApiError::ValidationFailed(vec![fault])
        }
        (None, StorageError::NotFound("plan")) => {
            ApiError::invalid_field("/plan", "unknown_plan", "No plan of this workspace has this id.")
        }
        (None, other) => other.into(),
    }
}
