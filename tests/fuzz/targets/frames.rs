//! Byte streams of clients, cut into frames.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wharf_sandbox::fuzz::frames(bytes));
