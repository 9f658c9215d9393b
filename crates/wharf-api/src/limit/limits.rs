//! The limits that the API has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

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
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = planned
            .entry(policy)
            .or_insert_with(|| Arc::new(Limiter::new(KEY, policy)));
        Arc::clone(limiter)
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
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.retain(|_, limiter| {
            limiter.forget_idle();
            // Whoever holds it is about to take from it.
            Arc::strong_count(limiter) > 1 || !limiter.is_idle()
        });
        drop(planned);
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
