//! Owns sessions at run time: one actor per session, the supervisor that keeps the wanted ones running, the order in
//! which messages leave and how fast. Promises that an accepted message is sent until the server acknowledges it or its
//! time runs out, and that only an actor writes its session's state. Never names an engine: [`port`] is all it knows of
//! WhatsApp.

pub mod port;
