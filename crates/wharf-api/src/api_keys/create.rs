//! `POST /api/api-keys`

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_model::{ApiKeyId, SessionId, WorkspaceId};
use wharf_storage::api_keys::{self, NewApiKey};
use wharf_storage::audit::{self, Action, AuditEntry, Requester};
use wharf_storage::{Queue, StorageError, sessions};

use super::body::{ApiKeyBody, NewApiKeyBody};
use crate::address::AddressRange;
use crate::auth::{Allowed, Caller};
use crate::error::{ApiError, FieldProblem, Pointer};
use crate::extract::Valid;
use crate::idempotency::{Answer, Keep, Once};
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
    let raw = request.raw.clone();
    let effect = create(state.clone(), (*caller).clone(), caller.requester(), request.body);
    once.run(&state, &caller, &raw, Keep::Fact, effect).await
}

async fn create(state: ApiState, caller: Caller, by: Requester, request: CreateApiKey) -> Result<Answer, ApiError> {
    let workspace = caller.workspace();
    if request.expires_at.is_some_and(|at| at.0 <= state.clock.now()) {
        return Err(ApiError::invalid_field(
            "/expires_at",
            "in_the_past",
            "Must lie in the future.",
        ));
    }
    let allowed: Option<Vec<SessionId>> = request.sessions.map(|ids| ids.into_iter().map(|id| id.0).collect());
    require_sessions(&state, workspace, allowed.as_deref().unwrap_or_default()).await?;
    let key = ApiKey::generate(state.network, &*state.random);
    let mut scopes = request.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let new = NewApiKey {
        id: ApiKeyId::generate(&*state.clock, &*state.random),
        workspace_id: workspace,
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
    };
    let body = NewApiKeyBody {
        key: key.reveal().to_owned(),
        about: ApiKeyBody::new(store(&state, new, by).await?, None),
    };
    Answer::json(StatusCode::CREATED, &body)
}

async fn store(state: &ApiState, new: NewApiKey, by: Requester) -> Result<api_keys::ApiKey, ApiError> {
    let entry = AuditEntry {
        workspace: new.workspace_id,
        at: new.created_at,
        by,
        action: Action::ApiKeyCreated,
        session: None,
        api_key: Some(new.id),
    };
    let stored = state
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move {
                api_keys::insert(tx, &new).await?;
                audit::append(tx, Some(&entry)).await?;
                api_keys::get(tx, new.workspace_id, new.id).await
            })
        })
        .await
        .map_err(refused)?;
    stored.ok_or_else(|| ApiError::internal("a stored key was not found"))
}

/// A plan that a key cannot carry is a fault of the request.
pub(super) fn refused(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound("plan") => {
            ApiError::invalid_field("/plan", "unknown_plan", "No plan of this workspace has this id.")
        }
        other => other.into(),
    }
}

/// A key for a session that does not exist would silently allow nothing.
async fn require_sessions(state: &ApiState, workspace: WorkspaceId, ids: &[SessionId]) -> Result<(), ApiError> {
    for (index, id) in ids.iter().copied().enumerate() {
        let found = state
            .storage
            .read(move |tx| Box::pin(sessions::get(tx, workspace, id)))
            .await?;
        if found.is_none() {
            let pointer = Pointer::default().join("sessions").join(&index.to_string());
            let fault = FieldProblem::new(pointer, "unknown_session", "No session of this workspace has this id.");
            return Err(ApiError::ValidationFailed(vec![fault]));
        }
    }
    Ok(())
}
