//! The limits that the API has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf_model::ApiKeyId;
use wharf_storage::plans::PlanLimits;

use super::{Limiter, RatePolicy};
use crate::address::limit_key;
use crate::config::ApiConfig;
use crate::context::RequestContext;
use crate::error::ApiError;

/// What answers call the rate of a key, wherever it comes from.
const KEY: &str = "key";

/// One limiter for each thing that is limited.
#[derive(Debug)]
pub(crate) struct Limits {
    keys: Limiter<ApiKeyId>,
    /// Of keys whose plans have rates of their own: one for each rate, made when the first of its keys calls.
    planned: Mutex<HashMap<RatePolicy, Arc<Limiter<ApiKeyId>>>>,
    addresses: Limiter<IpAddr>,
    failures: Limiter<IpAddr>,
}

impl Limits {
    pub(crate) fn new(config: &ApiConfig) -> Self {
        Self {
            keys: Limiter::new(KEY, config.rate_per_key),
            planned: Mutex::default(),
            addresses: Limiter::new("address", config.rate_per_address),
            failures: Limiter::new("failed_auth", config.failed_auth_per_address),
        }
    }

    /// Takes one call of an address.
    pub(crate) fn take_address(&self, context: &RequestContext) -> Result<(), ApiError> {
        note(context, self.addresses.take(&limit_key(context.address())))
    }

    /// Takes one call of a key: of the rate of its plan, or of that which all keys have.
    pub(crate) fn take_key(&self, context: &RequestContext, key: ApiKeyId, plan: PlanLimits) -> Result<(), ApiError> {
        let taken = match plan.requests_per_second {
            Some(requests) => self.planned(RatePolicy::new(requests, 1)).take(&key),
            None => self.keys.take(&key),
        };
        note(context, taken)
    }

    fn planned(&self, policy: RatePolicy) -> Arc<Limiter<ApiKeyId>> {
        let mut planned = self.lock_planned();
        let limiter = planned
            .entry(policy)
            .or_insert_with(|| Arc::new(Limiter::new(KEY, policy)));
        Arc::clone(limiter)
    }

    fn lock_planned(&self) -> MutexGuard<'_, HashMap<RatePolicy, Arc<Limiter<ApiKeyId>>>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a wrong key against its address: the error itself, or that there were too many.
    pub(crate) fn after_failure(&self, context: &RequestContext, error: ApiError) -> ApiError {
        match self.failures.take(&limit_key(context.address())) {
            Ok(_) => error,
            Err(report) => {
                let retry_after = report.wait();
                context.add_rate(report);
                ApiError::AuthRateLimited { retry_after }
            }
        }
    }

    pub(crate) fn forget_idle(&self) {
        self.keys.forget_idle();
        // Each walks through all of its keys: callers do not wait for that.
        let planned: Vec<_> = self.lock_planned().values().map(Arc::clone).collect();
        planned.iter().for_each(|limiter| limiter.forget_idle());
        drop(planned);
        // Whoever holds one is about to take from it.
        self.lock_planned()
            .retain(|_, limiter| Arc::strong_count(limiter) > 1 || !limiter.is_idle());
        self.addresses.forget_idle();
        self.failures.forget_idle();
    }
}

fn note(context: &RequestContext, taken: Result<Option<super::RateReport>, super::RateReport>) -> Result<(), ApiError> {
    match taken {
        Ok(report) => {
            report.into_iter().for_each(|report| context.add_rate(report));
            Ok(())
        }
        Err(report) => {
            let retry_after = report.wait();
            context.add_rate(report);
            Err(ApiError::RateLimited { retry_after })
        }
    }
}

#[cfg(test)]
mod tests {
    use wharf_model::SystemEdges;

    use super::*;

    #[test]
    fn a_rate_of_a_plan_is_forgotten_when_nothing_of_it_is_spent() {
        let limits = Limits::new(&ApiConfig::default());
        let key = ApiKeyId::generate(&SystemEdges, &SystemEdges);
        let (spent, idle, held) = (
            RatePolicy::new(1, 3600),
            RatePolicy::new(2, 3600),
            RatePolicy::new(3, 3600),
        );
        assert!(limits.planned(spent).take(&key).is_ok());
        limits.planned(idle);
        let holder = limits.planned(held);
        limits.forget_idle();
        let kept = |policy| limits.lock_planned().contains_key(&policy);
        assert_eq!((kept(spent), kept(idle), kept(held)), (true, false, true));
        assert!(limits.planned(spent).take(&key).is_err(), "what was spent stays spent");
        drop(holder);
        limits.forget_idle();
        assert!(!kept(held));
    }
}
