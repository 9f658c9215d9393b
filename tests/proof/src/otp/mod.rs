//! One-time passwords under kills: visitors ask for codes, read them from their phones and type them in, while the process is
//! killed between any two of these steps. Then all that they were answered and shown is compared.
//!
//! Promises what the other proofs promise: the judge is a pure function of the record, a record that shows too little fails,
//! and each sentence is shown to fail on a record that was broken on purpose.

mod book;
mod check;
mod counts;
mod desk;
mod drive;
mod finish;
mod moment;
pub mod mutate;
mod phone;
pub mod record;
mod summary;
mod visit;

pub use check::{INVARIANTS, Invariant, check};
pub use counts::{Counts, counts};
pub use drive::{Lives, drive};
pub use record::Record;
pub use summary::print;
