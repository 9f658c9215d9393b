//! Owns the road to WhatsApp: the port of `wharf-session` on the protocol engine, the engine's key store on
//! `wa_state`, the socket, the HTTP client for media and the version page, and every conversion between the engine's
//! words and Wharf's.
//!
//! Promises: the one crate that names the engine; one [`ClientEvent::Closed`](wharf_session::port::ClientEvent) for
//! every run, last; a message is sent under the id and the secret that its row chose; what came in is committed
//! before WhatsApp is told; after a write of protocol state failed, that client writes nothing more. A build with the
//! `sandbox` feature dials loopback only.
//!
//! Never reconnects on its own, never keeps state outside storage, never lets an engine type out.

pub mod config;
pub mod logs;
pub mod network;
mod own_copies;
mod pairing_errors;

mod backend;
mod client;
mod close_reasons;
mod conversions;
mod engine;
mod events;
mod guard;
mod inbound;
mod intake;
mod media;
mod probe;
mod redelivery;
mod run;
mod send_errors;
mod shown_profile;
mod tasks;
mod transport;
mod version;
mod watch;

pub use backend::{CarryError, EngineFormat, carry_over};
pub use config::{ClientVersion, EngineConfig};
pub use logs::log_filter_directives;
pub use network::EngineNetwork;
