//! Owns the PostgreSQL dialect's running half: connections, the lock that makes this process the one owner, units of
//! work beside each other, and the word that there is something to read.
//!
//! Promises what [`crate::unit`] promises, but the order: units run side by side, each in a transaction of its own, and
//! only what one caller awaits before it submits the next is in order. Repositories take the locks that this needs (see
//! [`lock`]). A unit that waits for a database that is away fails after two seconds; a failed commit fails its unit,
//! whether the server made it or not. Never runs a closure twice: it is called once, so a deadlock or a conflict of
//! serialisation is [`StorageError::Contended`](crate::StorageError::Contended) to its caller, who may try again.

pub(crate) mod address;
mod herald;
pub(crate) mod lock;
pub(crate) mod migrate;
pub(crate) mod open;
mod pool;
pub(crate) mod tenure;
mod units;

pub use tenure::Ownership;
pub(crate) use units::Postgres;
#[cfg(feature = "conformance")]
pub(crate) use units::width;
