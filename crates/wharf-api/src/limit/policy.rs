//! How many calls in which time.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use serde::Deserialize;

/// `requests` calls in `per_seconds`, spent at once or evenly. Zero requests: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatePolicy {
    /// How many calls.
    pub requests: u32,
    /// In how many seconds.
    pub per_seconds: u32,
}

impl RatePolicy {
    /// A policy.
    pub const fn new(requests: u32, per_seconds: u32) -> Self {
        Self { requests, per_seconds }
    }

    /// The time after which one spent call is whole again.
    pub(crate) fn period(self) -> Duration {
        let window = Duration::from_secs(u64::from(self.per_seconds.max(1)));
        (window / self.requests.max(1)).max(Duration::from_nanos(1))
    }

    pub(crate) fn quota(self) -> Option<Quota> {
        let burst = NonZeroU32::new(self.requests)?;
        Some(Quota::with_period(self.period())?.allow_burst(burst))
    }
}
