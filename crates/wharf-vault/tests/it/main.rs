//! Credentials in every form that people carry them in, made here by each form's own recipe, whole and broken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod baileys;
mod broken;
mod bundle;
mod forms;
mod hostile;
mod keys;
mod recipes;
