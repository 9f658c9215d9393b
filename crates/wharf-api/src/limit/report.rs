//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers), and the names that came before them.

use std::cmp::Reverse;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::RatePolicy;
use crate::wire::whole_seconds;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// The window of a quota of a day.
const DAY_SECONDS: u32 = 24 * 60 * 60;

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

    /// A quota of a day that is used up.
    pub(crate) fn of_day(name: &'static str, limit: u64, wait: Duration) -> Self {
        let requests = u32::try_from(limit).unwrap_or(u32::MAX);
        Self::used_up(name, RatePolicy::new(requests, DAY_SECONDS), wait)
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

/// Writes the headers that many clients know from elsewhere. They have room for one limit: the one that is nearest to its end.
pub(crate) fn apply_x(reports: &[RateReport], headers: &mut HeaderMap) {
    let nearest = reports.iter().min_by_key(|report| (report.left, Reverse(report.wait)));
    let Some(report) = nearest else { return };
    for (name, number) in [
        ("x-ratelimit-limit", u64::from(report.policy.requests)),
        ("x-ratelimit-remaining", u64::from(report.left)),
        ("x-ratelimit-reset", whole_seconds(report.wait)),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
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

    #[test]
    fn the_older_headers_tell_of_the_limit_that_is_nearest_to_its_end() {
        let (key, wait) = (RatePolicy::new(100, 60), Duration::from_millis(1500));
        let mut headers = HeaderMap::new();
        apply_x(&[], &mut headers);
        assert!(headers.is_empty());
        let reports = [
            RateReport::with_left("key", key, 50),
            RateReport::used_up("other", key, Duration::ZERO),
            RateReport::of_day("messages_per_day", 1000, wait),
        ];
        apply_x(&reports, &mut headers);
        assert_eq!(headers["x-ratelimit-limit"], "1000");
        assert_eq!(headers["x-ratelimit-remaining"], "0");
        assert_eq!(headers["x-ratelimit-reset"], "2");
    }
}
