//! Owns the HTTP API: routes, extractors, wire types, errors, the OpenAPI document. Promises that every answer is of a
//! documented shape, that every error is an RFC 9457 document with a stable code, that a repeated POST with an
//! idempotency key has one effect, and that no answer and no log line holds a secret that it should not. Never talks to
//! WhatsApp, and writes nothing but API keys and plans, what the audit log says of both, and idempotency: sessions and messages
//! are `wharf_session`'s, one-time passwords `wharf_otp`'s.

mod address;
mod api_keys;
mod audit;
mod auth;
mod config;
mod context;
pub mod error;
mod events;
mod extract;
mod idempotency;
pub mod keys;
mod limit;
mod messages;
mod middleware;
mod negotiate;
mod openapi;
mod operations;
mod otp;
mod plans;
pub mod qr;
mod readiness;
mod router;
mod rules;
mod scope;
mod sessions;
mod sse;
mod state;
mod usage;
mod vault;
mod wire;

pub use address::{AddressRange, AddressRangeError, caller_address, limit_key};
pub use auth::{Authenticator, Caller, CookieLogin};
pub use config::ApiConfig;
pub use error::ApiError;
pub use idempotency::CLAIM_LASTS;
pub use limit::RatePolicy;
pub use openapi::{document, openapi};
pub use plans::{PlanNameError, check_plan_name};
pub use readiness::Readiness;
pub use router::router;
pub use scope::{Scope, UnknownScope};
pub use sessions::described;
pub use state::{ApiParts, ApiState};
