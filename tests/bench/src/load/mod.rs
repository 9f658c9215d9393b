//! Owns the load: connections, callers, what they measured. One thread and requests that are built beforehand, because
//! the load shares the machine's cores with what it measures.

pub mod acks;
pub mod caller;
pub mod connection;
pub mod request;
pub mod rush;
pub mod spread;
