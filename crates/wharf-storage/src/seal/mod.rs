//! Owns encryption at rest: the master key, the data keys that it wraps, and the envelope around every sealed value.
//! Promises that a sealed value opens only under its key and only in the row and column that it was made for.
//! Never writes a key unwrapped, never prints one, never falls back to plaintext.
//!
//! An envelope is `version (1) | key id (8) | nonce (24) | XChaCha20-Poly1305 ciphertext and tag`.

pub(crate) mod file;
mod key;
mod keyring;
mod keys;
mod master;
mod place;

pub use key::{Blind, CodeMac, KeyId, Sealed, SealingKey};
pub use keys::{SessionKeys, WorkspaceKeys, WrappedKey};
pub use master::MasterKey;
pub use place::Place;

pub(crate) use keyring::Keyring;
pub(crate) use keys::{DataKey, KeyOwner, KeyPurpose};
