//! Owns the bytes: Noise, certificates, frames and nodes, all from the server's side. Knows no accounts.

pub(crate) mod certificate;
pub(crate) mod ciphertext;
pub(crate) mod frame;
pub(crate) mod node;
pub(crate) mod noise;
mod text;
