//! What is told of credentials that were looked at.

use sha2::{Digest as _, Sha256};

use crate::check::Check;
use crate::credentials::Credentials;
use crate::keys::Keys;
use crate::source::{Format, Layer};

/// Makes fingerprints of this kind differ from other hashes of the same key.
const FINGERPRINT_CONTEXT: &[u8] = b"wharf.vault.fingerprint.1";
/// Bytes of a fingerprint.
pub(crate) const FINGERPRINT: usize = 16;

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
    epoch: i64,
}

/// Everything that a device takes along to another program. Made of credentials that passed every check.
#[derive(Debug)]
pub struct Portable {
    /// What it logs in with.
    pub credentials: Credentials,
    /// What it goes on talking with.
    pub keys: Keys,
    /// How many owners the session had where it comes from: of two bundles of one device, the higher one is newer. 0 where
    /// that is not known.
    pub epoch: i64,
    fingerprint: String,
}

impl Portable {
    /// Of credentials that are known to be good: a session's own.
    pub fn new(credentials: Credentials, keys: Keys) -> Self {
        let fingerprint = fingerprint(&credentials.identity.public);
        Self {
            credentials,
            keys,
            epoch: 0,
            fingerprint,
        }
    }

    /// The same of a session that has had so many owners.
    #[must_use]
    pub fn with_epoch(self, epoch: i64) -> Self {
        Self { epoch, ..self }
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
            epoch: 0,
        }
    }

    /// Of a bundle that was opened.
    pub(crate) fn of_bundle(layers: Vec<Layer>, opened: Portable, mathematics: Vec<Check>) -> Self {
        let Portable {
            credentials,
            keys,
            epoch,
            ..
        } = opened;
        let sealed = Check::of(
            "bundle",
            true,
            ["The passphrase opens it, and nothing was changed.", ""],
        );
        let report = Self::new(
            Format::Bundle,
            layers,
            vec![sealed],
            mathematics,
            Some(credentials),
            keys,
        );
        Self { epoch, ..report }
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
            (true, Some(credentials)) => Ok(Portable::new(credentials, self.keys).with_epoch(self.epoch)),
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
    fingerprint_bytes(identity)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn fingerprint_bytes(identity: &[u8]) -> [u8; FINGERPRINT] {
    let hash = Sha256::new()
        .chain_update(FINGERPRINT_CONTEXT)
        .chain_update(identity)
        .finalize();
    let mut fingerprint = [0; FINGERPRINT];
    fingerprint.copy_from_slice(&hash[..FINGERPRINT]);
    fingerprint
}
