//! The client against the simulated network: over real sockets, with real cryptography, on a real database.
//!
//! Builds with the feature `sandbox` speak to it; a build without must refuse it, see `verified_build`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops; clippy exempts test functions only, not what they call"
)]

#[cfg_attr(
    not(feature = "sandbox"),
    expect(dead_code, reason = "one test needs a world and little of what is in it")
)]
mod fixture;

#[cfg(feature = "sandbox")]
mod ends;
#[cfg(feature = "sandbox")]
mod linking;
#[cfg(feature = "sandbox")]
mod logs;
#[cfg(feature = "sandbox")]
mod messages;
#[cfg(feature = "sandbox")]
mod proxies;
#[cfg(not(feature = "sandbox"))]
mod verified_build;
