//! Owns the real things that tests, proofs and benchmarks start: processes, and nothing that imitates one.
//!
//! Promises that what was started ends with the process that started it, however that process ends, and that a thing
//! which is missing is an error with a sentence, never a test that is skipped. Imports no other crate of the project,
//! and is imported by tests and tools only.

pub mod postgres;
pub mod process;
