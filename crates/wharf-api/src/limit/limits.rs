//! The limits that the API has.

use std::net::IpAddr;

use wharf_model::ApiKeyId;

use super::Limiter;
use crate::address::limit_key;
use crate::config::ApiConfig;
use crate::context::RequestContext;
use crate::error::ApiError;

/// One limiter for each thing that is limited.
#[derive(Debug)]
pub(crate) struct Limits {
    keys: Limiter<ApiKeyId>,
    addresses: Limiter<IpAddr>,
    failures: Limiter<IpAddr>,
}

impl Limits {
    pub(crate) fn new(config: &ApiConfig) -> Self {
        Self {
            keys: Limiter::new("key", config.rate_per_key),
            addresses: Limiter::new("address", config.rate_per_address),
            failures: Limiter::new("failed_auth", config.failed_auth_per_address),
        }
    }

    /// Takes one call of an address.
    pub(crate) fn take_address(&self, context: &RequestContext) -> Result<(), ApiError> {
        note(context, self.addresses.take(&limit_key(context.address())))
    }

    /// Takes one call of a key.
    pub(crate) fn take_key(&self, context: &RequestContext, key: ApiKeyId) -> Result<(), ApiError> {
        note(context, self.keys.take(&key))
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
