//! A key as answers show it.

use serde::Serialize;
use utoipa::ToSchema;
use wharf_storage::api_keys::{ApiKey, KeyUsage};

use crate::wire::{ApiKeyIdText, PlanIdText, SessionIdText, Time};

/// Whether a key works.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ApiKeyStatus {
    /// It works until it expires.
    Active,
    /// It was revoked.
    Revoked,
}

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyBody {
    id: ApiKeyIdText,
    label: String,
    /// The part that may be shown.
    #[schema(example = "wharf_live_7Q2mZ1kd")]
    prefix: String,
    status: ApiKeyStatus,
    scopes: Vec<String>,
    /// Addresses that it works from; null is everywhere.
    #[schema(required)]
    ips: Option<Vec<String>>,
    /// Sessions that it may touch; null is all.
    #[schema(required)]
    sessions: Option<Vec<SessionIdText>>,
    /// The plan that says how much it may use; null is as much as it likes.
    #[schema(required)]
    plan: Option<PlanIdText>,
    #[schema(required)]
    expires_at: Option<Time>,
    /// Until when the text works that it had before it was rotated; the time may have passed. Null: it has no other.
    #[schema(required)]
    previous_valid_until: Option<Time>,
    usage_count: u64,
    #[schema(required)]
    last_used_at: Option<Time>,
    #[schema(required)]
    revoked_at: Option<Time>,
    /// The key or page that made it.
    #[schema(required)]
    created_by: Option<String>,
    created_at: Time,
    updated_at: Time,
}

/// A key with its text, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(crate) struct NewApiKeyBody {
    /// The key. Keep it: it is not shown again.
    #[schema(pattern = "^wharf_(live|test)_[0-9A-Za-z]{38}$")]
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) about: ApiKeyBody,
}

impl ApiKeyBody {
    /// A stored key and its uses that are not written yet.
    pub(super) fn new(key: ApiKey, pending: Option<KeyUsage>) -> Self {
        let status = match key.revoked_at {
            Some(_) => ApiKeyStatus::Revoked,
            None => ApiKeyStatus::Active,
        };
        let last_used_at = key.last_used_at.max(pending.map(|usage| usage.last_used_at));
        Self {
            id: ApiKeyIdText(key.id),
            label: key.label,
            prefix: key.prefix,
            status,
            scopes: key.scopes,
            ips: key.ips,
            sessions: key.sessions.map(|ids| ids.into_iter().map(SessionIdText).collect()),
            plan: key.plan.map(|plan| PlanIdText(plan.id)),
            expires_at: key.expires_at.map(Time),
            // With a revoked key all its texts have ended.
            previous_valid_until: key.previous_until.filter(|_| key.revoked_at.is_none()).map(Time),
            usage_count: key.usage_count + pending.map_or(0, |usage| usage.count),
            last_used_at: last_used_at.map(Time),
            revoked_at: key.revoked_at.map(Time),
            created_by: key.created_by,
            created_at: Time(key.created_at),
            updated_at: Time(key.updated_at),
        }
    }
}
