//! `GET /api/audit`: who did what that matters, and from where.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wharf_storage::audit::{self, AuditEntry};

use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Pagination, ValidQuery};
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::{ApiKeyIdText, List, PlanIdText, SessionIdText, Time};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// One thing that somebody did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditBody {
    at: Time,
    /// The id of a key, `page`, `link` for whoever had a link that works once, or `wharf` for the server itself.
    who: String,
    /// What was done.
    #[schema(example = "session.exported")]
    action: &'static str,
    /// With which session; it may be gone.
    #[schema(required)]
    session_id: Option<SessionIdText>,
    /// With which API key; `who` tells whose request it was.
    #[schema(required)]
    api_key_id: Option<ApiKeyIdText>,
    /// Which plan was made, changed or deleted; it may be gone. Entries of older versions do not say it.
    #[schema(required)]
    plan_id: Option<PlanIdText>,
    /// Where the request came from.
    #[schema(required, example = "198.51.100.7")]
    address: Option<String>,
    /// What logs and the answer call the request.
    #[schema(required)]
    request_id: Option<String>,
}

impl From<AuditEntry> for AuditBody {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: Time(entry.at),
            who: entry.by.who,
            action: entry.action.as_str(),
            session_id: entry.session.map(SessionIdText),
            api_key_id: entry.api_key.map(ApiKeyIdText),
            plan_id: entry.plan.map(PlanIdText),
            address: entry.by.address,
            request_id: entry.by.request_id,
        }
    }
}

/// The audit log
///
/// Who linked, imported, exported, moved, logged out, deleted, validated or fetched credentials, or made, changed, rotated or
/// revoked API keys, or made, changed or deleted plans, or changed the texts of codes, and from where; newest first. Each
/// entry was stored together with what it tells of.
#[utoipa::path(get, path = "/api/audit", tag = "Operations", security(("bearer" = ["admin"])),
    params(Pagination),
    responses((status = 200, description = "A page of entries", body = List<AuditBody>)))]
pub(crate) async fn list_audit(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    ValidQuery(page): ValidQuery<Pagination>,
) -> Result<Json<List<AuditBody>>, ApiError> {
    let (workspace, page) = (caller.workspace(), page.request());
    let read = state
        .storage
        .read(move |tx| Box::pin(async move { audit::list(tx, workspace, &page).await }));
    Ok(Json(List::of_page(read.await?, AuditBody::from)))
}
