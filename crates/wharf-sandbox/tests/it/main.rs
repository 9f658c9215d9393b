//! The sandbox from outside: as a client that speaks the raw protocol, as a script that uses the control API, and as
//! somebody who kills it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells its measurements, also in the functions its tests share"
)]

mod app_state;
mod companion;
mod control;
mod determinism;
mod faults;
mod groups;
mod hostile;
mod http;
mod identity;
mod kinds;
mod linking;
mod load;
mod media;
mod odd_faults;
mod page;
mod pair_code;
mod passkey;
mod phones;
mod pictures;
mod presence;
mod process;
mod raw_client;
mod restart;
mod stanza_log;
mod strangers;
mod tls;
