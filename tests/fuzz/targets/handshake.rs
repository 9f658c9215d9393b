//! The two messages of a client's handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wharf_sandbox::fuzz::handshake(bytes));
