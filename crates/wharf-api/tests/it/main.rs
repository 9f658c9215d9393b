//! The API as its clients meet it: a real server on loopback, real storage in a directory of its own, HTTP in between.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say so at once"
)]

mod api_keys;
mod app;
mod auth;
mod credentials;
mod document;
mod errors;
mod events;
mod idempotency;
mod messages;
mod operations;
mod otp;
mod otp_receive;
mod otp_stats;
mod otp_templates;
mod otp_test_numbers;
mod plans;
mod script;
mod sessions;
