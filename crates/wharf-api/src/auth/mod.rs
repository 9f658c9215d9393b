//! Owns the question who calls: API keys by header, a signed-in page by cookie. Promises that a malformed key costs no
//! look-up, that a revoked key stops within a second, and that counting use costs no request a write. Never sees a
//! password.

mod allowed;
mod authenticator;
mod caller;
mod cookie;
mod credentials;
mod holder;
mod usage;

pub(crate) use allowed::Allowed;
pub use authenticator::Authenticator;
pub use caller::Caller;
pub use cookie::CookieLogin;
pub(crate) use holder::Holder;
