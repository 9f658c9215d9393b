//! A session's own limits, as requests give and answers show them.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wharf_model::PacingPolicy;

use crate::rules;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How fast the session sends. Fields that are left out have their defaults.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pacing {
    /// Messages a minute; 0 is no limit and needs `unsafe_open`.
    #[garde(custom(rules::between(0, 100_000)))]
    #[schema(minimum = 0, maximum = 100_000, default = 20)]
    per_minute: u32,
    /// The shortest gap between two sends, in ms.
    #[garde(custom(rules::between(0, DAY_MS)))]
    #[schema(minimum = 0, maximum = 86_400_000, default = 1000)]
    gap_min_ms: u64,
    /// The longest gap between two sends, in ms.
    #[garde(custom(rules::between(0, DAY_MS)))]
    #[schema(minimum = 0, maximum = 86_400_000, default = 5000)]
    gap_max_ms: u64,
    /// The shortest time between two sends to one recipient, in ms.
    #[garde(custom(rules::between(0, DAY_MS)))]
    #[schema(minimum = 0, maximum = 86_400_000, default = 6000)]
    per_recipient_ms: u64,
    /// Chats that may be opened in 24 hours.
    #[garde(custom(rules::between(0, 1_000_000)))]
    #[schema(minimum = 0, maximum = 1_000_000, default = 50)]
    new_chats_per_day: u32,
    /// Takes every limit away.
    #[garde(skip)]
    #[schema(default = false)]
    unsafe_open: bool,
}

impl Default for Pacing {
    fn default() -> Self {
        PacingPolicy::default().into()
    }
}

impl From<PacingPolicy> for Pacing {
    fn from(policy: PacingPolicy) -> Self {
        Self {
            per_minute: policy.per_minute,
            gap_min_ms: millis(policy.gap_min),
            gap_max_ms: millis(policy.gap_max),
            per_recipient_ms: millis(policy.per_recipient),
            new_chats_per_day: policy.new_chats_per_day,
            unsafe_open: policy.unsafe_open,
        }
    }
}

impl From<Pacing> for PacingPolicy {
    fn from(pacing: Pacing) -> Self {
        Self {
            per_minute: pacing.per_minute,
            gap_min: Duration::from_millis(pacing.gap_min_ms),
            gap_max: Duration::from_millis(pacing.gap_max_ms),
            per_recipient: Duration::from_millis(pacing.per_recipient_ms),
            new_chats_per_day: pacing.new_chats_per_day,
            unsafe_open: pacing.unsafe_open,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
