//! Owns request rates: how many calls a key or an address may make (GCRA, in memory of this process), and the headers
//! that tell. Promises that `Retry-After` is never too early. Never paces messages: that is the session's pacer.

mod limits;
mod policy;
mod report;

use std::hash::Hash;

use governor::clock::{Clock, QuantaClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;

pub(crate) use limits::Limits;
pub use policy::RatePolicy;
pub(crate) use report::{RateReport, apply, apply_x};

type Governor<K> = governor::RateLimiter<K, DashMapStateStore<K>, QuantaClock, StateInformationMiddleware>;

/// One limit for each `K`.
#[derive(Debug)]
pub(crate) struct Limiter<K: Hash + Eq + Clone> {
    name: &'static str,
    policy: RatePolicy,
    inner: Option<Governor<K>>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// A limiter by policy; an unlimited policy costs nothing.
    pub(crate) fn new(name: &'static str, policy: RatePolicy) -> Self {
        let inner = policy
            .quota()
            .map(|quota| governor::RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>());
        Self { name, policy, inner }
    }

    /// Takes one call of `key`. `Err` when there is none left; both tell where the limit stands.
    pub(crate) fn take(&self, key: &K) -> Result<Option<RateReport>, RateReport> {
        let Some(inner) = &self.inner else {
            return Ok(None);
        };
        match inner.check_key(key) {
            Ok(snapshot) => Ok(Some(RateReport::with_left(
                self.name,
                self.policy,
                snapshot.remaining_burst_capacity(),
            ))),
            Err(not_until) => {
                let wait = not_until.wait_time_from(inner.clock().now());
                Err(RateReport::used_up(self.name, self.policy, wait))
            }
        }
    }

    /// Forgets keys whose limits are whole again.
    pub(crate) fn forget_idle(&self) {
        if let Some(inner) = &self.inner {
            inner.retain_recent();
        }
    }

    /// Whether no key has spent anything that is not whole again, as far as [`Self::forget_idle`] has seen.
    pub(crate) fn is_idle(&self) -> bool {
        self.inner.as_ref().is_none_or(|inner| inner.is_empty())
    }
}
