//! `GET /api/sessions`

use axum::Json;
use axum::extract::State;

use super::body::SessionBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Pagination, ValidQuery};
use crate::scope::ReadSessions;
use crate::state::ApiState;
use crate::wire::List;

/// List sessions
///
/// Newest first. A key that is limited to sessions sees those only; a page can then hold fewer than `limit`.
#[utoipa::path(get, path = "/api/sessions", tag = "Sessions", security(("bearer" = ["sessions:read"])),
    params(Pagination),
    responses((status = 200, description = "A page of sessions", body = List<SessionBody>)))]
pub(crate) async fn list_sessions(
    caller: Allowed<ReadSessions>,
    State(state): State<ApiState>,
    ValidQuery(page): ValidQuery<Pagination>,
) -> Result<Json<List<SessionBody>>, ApiError> {
    let mut sessions = state.sessions.list(caller.workspace(), page.request()).await?;
    sessions.rows.retain(|session| caller.sees(session.id));
    Ok(Json(List::of_page(sessions, SessionBody::from)))
}
