//! What is told of credentials that were looked at.

use sha2::{Digest as _, Sha256};

use crate::check::Check;
use crate::credentials::Credentials;
use crate::keys::Keys;
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
    keys: Keys,
}

/// Everything that a device takes along to another program. Made of credentials that passed every check.
#[derive(Debug)]
pub struct Portable {
    /// What it logs in with.
    pub credentials: Credentials,
    /// What it goes on talking with.
    pub keys: Keys,
    fingerprint: String,
}

impl Portable {
    /// Of credentials that are known to be good: a session's own.
    pub fn new(credentials: Credentials, keys: Keys) -> Self {
        let fingerprint = fingerprint(&credentials.identity.public);
        Self {
            credentials,
            keys,
            fingerprint,
        }
    }

    /// See [`Report::fingerprint`].
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl Report {
    pub(crate) fn new(
        format: Format,
        layers: Vec<Layer>,
        structure: Vec<Check>,
        mathematics: Vec<Check>,
        credentials: Option<Credentials>,
        keys: Keys,
    ) -> Self {
        Self {
            format,
            layers,
            checks: [structure, mathematics].concat(),
            credentials,
            keys,
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

    /// The keys that came with them.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What can be taken along; the report again when a check failed.
    ///
    /// # Errors
    /// The report itself.
    pub fn into_portable(self) -> Result<Portable, Box<Self>> {
        match (self.valid(), self.credentials) {
            (true, Some(credentials)) => Ok(Portable::new(credentials, self.keys)),
            (_, credentials) => Err(Box::new(Self { credentials, ..self })),
        }
    }

    /// Tells one link from every other and says nothing of the account: 32 hexadecimal digits of a hash of the device's
    /// public identity key.
    pub fn fingerprint(&self) -> Option<String> {
        Some(fingerprint(&self.credentials.as_ref()?.identity.public))
    }
}

/// See [`Report::fingerprint`]; of the device's public identity key without its type byte.
pub fn fingerprint(identity: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(FINGERPRINT_CONTEXT)
        .chain_update(identity)
        .finalize();
    hash[..FINGERPRINT].iter().map(|byte| format!("{byte:02x}")).collect()
}
