//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::RatePolicy;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// Where one limit stands after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RateReport {
    name: &'static str,
    policy: RatePolicy,
    left: u32,
    wait: Duration,
}

impl RateReport {
    pub(super) fn with_left(name: &'static str, policy: RatePolicy, left: u32) -> Self {
        let spent = policy.requests.saturating_sub(left);
        Self {
            name,
            policy,
            left,
            wait: policy.period().saturating_mul(spent),
        }
    }

    pub(super) const fn used_up(name: &'static str, policy: RatePolicy, wait: Duration) -> Self {
        Self {
            name,
            policy,
            left: 0,
            wait,
        }
    }

    /// How long until the next call is taken, when none is left.
    pub(crate) const fn wait(&self) -> Duration {
        self.wait
    }

    fn policy_item(&self) -> String {
        format!(
            "\"{}\";q={};w={}",
            self.name,
            self.policy.requests,
            self.policy.per_seconds.max(1)
        )
    }

    fn state_item(&self) -> String {
        format!("\"{}\";r={};t={}", self.name, self.left, self.wait.as_secs_f64().ceil())
    }
}

/// Writes the headers for what the limiters said.
pub(crate) fn apply(reports: &[RateReport], headers: &mut HeaderMap) {
    let items = |item: fn(&RateReport) -> String| reports.iter().map(item).collect::<Vec<_>>().join(", ");
    for (name, value) in [
        (POLICY, items(RateReport::policy_item)),
        (STATE, items(RateReport::state_item)),
    ] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_say_what_is_left_and_for_how_long() {
        let policy = RatePolicy::new(100, 60);
        let mut headers = HeaderMap::new();
        apply(&[RateReport::with_left("key", policy, 50)], &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"key\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"key\";r=50;t=30");
    }
}
