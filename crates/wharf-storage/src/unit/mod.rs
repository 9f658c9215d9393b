//! Owns units of work: closures over a transaction, the queues they wait in and the threads that run them.
//! Each promise is a case of the conformance suite.
//! On a file it never runs two units at once, never acknowledges before the commit is durable (unless the caller asked for less),
//! never loses a queued unit because its caller went away.

pub(crate) mod glance;
pub(crate) mod job;
pub(crate) mod queue;
pub(crate) mod reader;
#[cfg(test)]
mod tests;
pub(crate) mod tx;
pub(crate) mod writer;

/// Which queue a unit waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Everything that is not signal state.
    Normal,
    /// Signal state: served before all else, because the engine holds its session map while it waits.
    SignalState,
}
