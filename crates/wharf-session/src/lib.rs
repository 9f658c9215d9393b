//! Owns sessions at run time: one actor per session, the supervisor that keeps the wanted ones running, the order in
//! which messages leave and how fast. Promises that an accepted message is sent until the server acknowledges it or its
//! time runs out, and that only an actor writes its session's state. Never names an engine: [`port`] is all it knows of
//! WhatsApp.

mod actor;
mod config;
pub mod content;
mod context;
mod error;
mod events;
mod failure;
mod follow;
mod idempotency;
mod ledger;
mod live;
pub mod pacer;
pub mod port;
mod registry;
pub mod sessions;
mod setup;
mod supervisor;
mod telemetry;

pub use config::SessionConfig;
pub use context::SessionDeps;
pub use error::SessionError;
pub use failure::FailureCode;
pub use follow::{CodeFollower, CodeStep, ReceivedCode};
pub use idempotency::{BoxError, IdempotencyError, Idempotent, Outcome, Render};
pub use live::{Live, PairingCode, PasskeyStep, QrCode};
pub use sessions::{
    AcceptError, InUse, Leaving, Linked, MessageQuery, MessageView, NewCode, NewMessage, NewSession, PreparedCode,
    SessionPatch, SessionView, Sessions, SignalState,
};
