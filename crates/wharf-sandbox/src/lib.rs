//! A simulated WhatsApp network on loopback: a chat server that speaks the real protocol and virtual phones that
//! really encrypt, so that unmodified clients can link, log in, send and receive without a phone.
//!
//! It owns the whole other side: certificates from a root key of its own, accounts, queues, phones, and what of them
//! survives a stop. It promises that nothing acknowledged is lost when the process is killed (with the file store),
//! that a fault of one client ends that client's connection only, and that it never says yes to what it does not
//! understand. It never listens anywhere but on loopback, and passing here never proves anything about the real
//! network. What it does not imitate is listed in the README.

mod clock;
mod config;
mod control;
mod error;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod model;
mod network;
mod observation;
mod phone;
mod qr;
mod sandbox;
mod server;
mod store;
mod wire;

pub use config::{SandboxConfig, StoreConfig, Timing};
pub use control::page::router as page;
pub use error::{SandboxError, StoreError};
pub use fault::{Action, Conflict, FaultStatus, InvalidRule, Match, Rule, StanzaMatch};
pub use model::{
    Change, Changed, Chat, DeviceId, FileInfo, FileKind, GroupChange, GroupInfo, GroupMember, LinkedDevice, Message,
    MessageStatus, NewContact, NewEdit, NewFile, NewGroup, NewLocation, NewMessage, NewPhone, NewPoll, NewReaction,
    NewRevoke, NewVote, PasskeyAssertion, PhoneDetail, PhoneInfo, PollOption, Typing, Unhandled,
};
pub use network::contacts::ContactRules;
pub use observation::{
    Closed, Decryption, Direction, Login, LostStanza, Observation, Observed, SeenCiphertext, SeenStanza, StanzaExcerpt,
};
pub use sandbox::{FaultGuard, Sandbox};
