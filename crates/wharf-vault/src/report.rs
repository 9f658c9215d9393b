//! What is told of credentials that were looked at.

use sha2::{Digest as _, Sha256};

use crate::check::Check;
use crate::credentials::Credentials;
use crate::source::{Format, Layer};

/// Makes fingerprints of this kind differ from other hashes of the same key.
const FINGERPRINT_CONTEXT: &[u8] = b"wharf.vault.fingerprint.1";
/// Bytes of a fingerprint.
const FINGERPRINT: usize = 16;

/// How deep the checks went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Which fields there are, and whether each can be read.
    Structure,
    /// Whether keys and signatures belong together.
    Mathematics,
}

/// Credentials, where they were found, and what is right and wrong with them.
#[derive(Debug)]
pub struct Report {
    format: Format,
    layers: Vec<Layer>,
    checks: Vec<Check>,
    credentials: Option<Credentials>,
}

impl Report {
    pub(crate) fn new(
        format: Format,
        layers: Vec<Layer>,
        structure: Vec<Check>,
        mathematics: Vec<Check>,
        credentials: Option<Credentials>,
    ) -> Self {
        Self {
            format,
            layers,
            checks: [structure, mathematics].concat(),
            credentials,
        }
    }

    /// What was recognised.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// What was taken off to get there, outermost first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Every check that was made, in order.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether every check passed.
    pub fn valid(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    /// How deep the checks went: keys are compared once everything is there.
    pub const fn level(&self) -> Level {
        match self.credentials {
            Some(_) => Level::Mathematics,
            None => Level::Structure,
        }
    }

    /// The credentials, if everything that they need is there.
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Tells one link from every other and says nothing of the account: 32 hexadecimal digits of a hash of the device's
    /// public identity key.
    pub fn fingerprint(&self) -> Option<String> {
        let public = self.credentials.as_ref()?.identity.public;
        let hash = Sha256::new()
            .chain_update(FINGERPRINT_CONTEXT)
            .chain_update(public)
            .finalize();
        Some(hash[..FINGERPRINT].iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
