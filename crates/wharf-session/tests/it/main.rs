//! The actor's own logic, against real storage and a scripted network.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests may end in a panic, in what they call as well"
)]

mod connection;
mod imported;
mod inbound;
mod outbound;
mod pairing;
mod passkeys;
mod profiles;
mod script;
mod setups;
mod world;
