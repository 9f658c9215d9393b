//! Owns the translation of addresses and messages. A message type is added here and nowhere else in this crate: one
//! arm in [`from_engine::content`] and one in [`to_engine::message`].

mod address;
mod from_engine;
mod to_engine;

pub(crate) use address::{chat_jid, engine_jid, person_jid};
pub(crate) use from_engine::inbound;
pub(crate) use to_engine::message;
