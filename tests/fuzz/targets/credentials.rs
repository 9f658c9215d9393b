//! Credentials in whatever form, packed in whatever way.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(wharf_vault::examine(bytes, Some("passphrase"))));
