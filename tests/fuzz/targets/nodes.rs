//! Stanzas of a companion that is logged in.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wharf_sandbox::fuzz::nodes(bytes));
