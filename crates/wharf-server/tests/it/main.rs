//! Runs the real binary in processes of its own: every test owns its data directory, its ports and its sandbox.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod backup;
mod bundles;
mod commands;
mod database_server;
mod flow;
mod generator;
mod kept;
mod kills;
mod moving;
mod otp;
mod passkeys;
mod places;
mod process;
mod profiles;
mod remote;
mod secrets;
mod startup;
mod stopping;
mod validating;
