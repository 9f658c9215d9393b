//! Owns what happens around every request: its id and context, the log line, counters, limits, time-out, the answer's
//! headers, and the net under handlers that panic. Promises one log line a request, without body, query or secret.

mod context;
mod guard;
mod headers;
mod observe;

pub(crate) use context::with_context;
pub(crate) use guard::guard;
