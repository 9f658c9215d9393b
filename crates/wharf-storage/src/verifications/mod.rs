//! Verifications: a code that was sent to a phone, checked and used once. A check is counted by the statement that finds the
//! row, and the row is locked from there to the commit: however many come at once, as many are compared as may be, and one
//! is approved. The end of a verification takes the digits out of its messages.

mod check;
mod failures;
mod limits;
mod list;
mod row;
mod send;
pub(crate) mod stats;
mod sweep;

pub use check::{CheckResult, Checked, cancel, check};
pub use failures::{clear_failures, failures};
pub use limits::{Conversion, Counted, conversion, lock, next_allowed_at};
pub use list::{VerificationFilter, checks, get, latest, list, sends};
pub use row::{Check, Open, Send, Verification, mac_of, seal_metadata, seal_phone};
pub use send::{Followed, NewSend, NewVerification, Renewal, active, insert, insert_send, note_status, renew};
pub use stats::{Cell, Counter, Counts, Wait, Waited, count, delete_oldest_day, latencies, note_latency, stats};
pub use sweep::{delete_due, due, expire, next_due_at, note_undelivered};
