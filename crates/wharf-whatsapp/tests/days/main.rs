//! Bad days, pressed into moments: sessions on the engine in the simulated network, with a clock that runs sixty times as
//! fast as the machine's. Whatever happens, every session ends in the right state with the right reason, and none that
//! should live needs a new link.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops; clippy exempts test functions only, not what they call"
)]

mod accounts;
mod clocks;
mod day;
mod networks;
mod owners;
