//! What a bundle holds, its seal taken off.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wharf_vault::fuzz::contents(bytes));
