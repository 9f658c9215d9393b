//! The way outside: names are looked up here, every address is checked before it is dialled, and what is fetched is
//! fetched within limits. Others say which addresses they may reach; nobody dials what a stranger named without it.

mod fetch;
mod reach;

pub use fetch::{FetchError, Fetcher, Limits};
pub use reach::{AddressRefused, Reach, ResolveError, resolve};
