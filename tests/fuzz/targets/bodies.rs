//! Payloads, plaintexts, ciphertexts, patches and signatures of clients.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wharf_sandbox::fuzz::bodies(bytes));
