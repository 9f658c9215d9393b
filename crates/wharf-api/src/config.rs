//! The API's own section of the configuration. The server reads it; every field has a default.

use std::time::Duration;

use serde::Deserialize;

use crate::address::AddressRange;
use crate::limit::RatePolicy;

/// How the API behaves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Calls that one API key may make.
    pub rate_per_key: RatePolicy,
    /// Calls that one address may make, keys or not.
    pub rate_per_address: RatePolicy,
    /// Wrong keys that one address may try.
    pub failed_auth_per_address: RatePolicy,
    /// Whether answers carry `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, too.
    pub x_rate_limit_headers: bool,
    /// The largest body, in bytes. The longest text message, fully escaped, needs 800 KB.
    pub max_body_bytes: usize,
    /// How long one call may take; streams are not counted.
    pub request_timeout_seconds: u64,
    /// How often a quiet stream sends a comment, so that proxies keep it open.
    pub stream_keep_alive_seconds: u64,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<AddressRange>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            rate_per_key: RatePolicy::new(60_000, 60),
            rate_per_address: RatePolicy::new(120_000, 60),
            failed_auth_per_address: RatePolicy::new(300, 60),
            x_rate_limit_headers: false,
            max_body_bytes: 1024 * 1024,
            request_timeout_seconds: 30,
            stream_keep_alive_seconds: 15,
            trusted_proxies: Vec::new(),
        }
    }
}

impl ApiConfig {
    pub(crate) const fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    pub(crate) const fn stream_keep_alive(&self) -> Duration {
        Duration::from_secs(self.stream_keep_alive_seconds)
    }

    /// Every fault of the section, for the start to report together.
    pub fn faults(&self) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if self.max_body_bytes < 1024 {
            faults.push("api.max_body_bytes must be at least 1024");
        }
        if !(1..=3600).contains(&self.request_timeout_seconds) {
            faults.push("api.request_timeout_seconds must be 1 to 3600");
        }
        if !(1..=300).contains(&self.stream_keep_alive_seconds) {
            faults.push("api.stream_keep_alive_seconds must be 1 to 300");
        }
        faults
    }
}
