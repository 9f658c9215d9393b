//! `GET /api/api-keys`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use wharf_model::Timestamp;
use wharf_storage::api_keys::{self, Unused};

use super::body::ApiKeyBody;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{ValidQuery, page_request};
use crate::rules;
use crate::scope::Administer;
use crate::state::ApiState;
use crate::wire::List;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which keys.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListApiKeys {
    /// Only those that still work and were neither used nor made in so many days. A page of them may be short, or empty,
    /// although another one follows.
    #[garde(custom(rules::optional_between(1, 3650)))]
    #[param(nullable = false, minimum = 1, maximum = 3650)]
    unused_for_days: Option<u32>,
    /// How many items at most.
    #[serde(default = "default_limit")]
    #[garde(custom(rules::between(1, 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the page before; without it the first page.
    #[garde(custom(rules::cursor))]
    #[param(nullable = false, max_length = 128)]
    cursor: Option<String>,
}

const fn default_limit() -> u32 {
    20
}

impl ListApiKeys {
    fn unused(&self, now: Timestamp) -> Option<Unused> {
        self.unused_for_days.map(|days| Unused {
            since: now - DAY.saturating_mul(days),
            now,
        })
    }
}

/// List API keys
///
/// Newest first, revoked ones too.
#[utoipa::path(get, path = "/api/api-keys", tag = "API keys", security(("bearer" = ["admin"])),
    params(ListApiKeys),
    responses((status = 200, description = "A page of keys", body = List<ApiKeyBody>)))]
pub(crate) async fn list_api_keys(
    caller: Allowed<Administer>,
    State(state): State<ApiState>,
    ValidQuery(query): ValidQuery<ListApiKeys>,
) -> Result<Json<List<ApiKeyBody>>, ApiError> {
    let (workspace, unused) = (caller.workspace(), query.unused(state.clock.now()));
    let page = page_request(query.limit, query.cursor);
    let keys = state.storage.read(move |tx| {
        Box::pin(async move {
            match unused {
                Some(unused) => api_keys::list_unused(tx, workspace, unused, &page).await,
                None => api_keys::list(tx, workspace, &page).await,
            }
        })
    });
    let mut keys = keys.await?;
    if let Some(unused) = unused {
        // What was counted and is not written yet is use as well.
        keys.rows.retain(|key| {
            let pending = state.authenticator.pending_usage(key.id);
            pending.is_none_or(|usage| usage.last_used_at < unused.since)
        });
    }
    Ok(Json(List::of_page(keys, |key| {
        let pending = state.authenticator.pending_usage(key.id);
        ApiKeyBody::new(key, pending)
    })))
}
