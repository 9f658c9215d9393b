//! Wharf's own form of credentials: everything that a session takes along, sealed under a passphrase.
//!
//! Version 1, numbers big-endian: magic (8 bytes), version (1), salt (16), nonce (24), fingerprint (16), epoch (8), then
//! XChaCha20-Poly1305 of a CBOR map (RFC 8949) with everything before it as associated data. The key is Argon2id
//! (RFC 9106) of the passphrase and the salt with 19 MiB, two passes and one lane (OWASP Password Storage Cheat Sheet).
//! The version fixes these numbers: an input must not choose how much work it makes.

pub(crate) mod octets;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use wharf_model::Random;
use zeroize::Zeroizing;

use crate::baileys::keys::PRE_KEY_IDS;
use crate::credentials::Credentials;
use crate::error::VaultError;
use crate::keys::Keys;
use crate::report::{FINGERPRINT, Portable, fingerprint_bytes};

/// What a bundle begins with.
pub(crate) const MAGIC: &[u8; 8] = b"WHARFBDL";
/// The version that is written, and the newest that is read.
const VERSION: u8 = 1;

const SALT: usize = 16;
const NONCE: usize = 24;
const EPOCH: usize = 8;
const HEADER: usize = MAGIC.len() + 1 + SALT + NONCE + FINGERPRINT + EPOCH;

/// Bytes of the largest bundle: as base64, behind a brand, it is still taken.
const MAX: usize = (crate::MAX_INPUT - 1024) / 4 * 3;

/// Memory of the key derivation in KiB, its passes and its lanes.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// More owners than a session ever had.
const MOST_OWNERS: i64 = 1 << 53;

/// Damaged, or not what it says.
const DAMAGED: VaultError = VaultError::Damaged("bundle");

/// What lies under the seal. Fields are added, never renamed: older bundles are read for ever.
#[derive(Deserialize)]
struct Content {
    credentials: Credentials,
    keys: Keys,
}

/// The same, on its way in.
#[derive(Serialize)]
struct Contents<'a> {
    credentials: &'a Credentials,
    keys: &'a Keys,
}

/// Takes some 50 ms and 19 MiB: the price of a guess.
///
/// # Errors
/// [`VaultError::UnpacksTooLarge`] for more than a bundle can hold.
pub(crate) fn seal(portable: &Portable, passphrase: &str, random: &dyn Random) -> Result<Vec<u8>, VaultError> {
    let mut content = written(portable)?;
    let mut fresh = [0; SALT + NONCE];
    random.fill(&mut fresh);
    let mut bundle = [MAGIC.as_slice(), &[VERSION], &fresh].concat();
    bundle.extend(fingerprint_bytes(&portable.credentials.identity.public));
    bundle.extend(portable.epoch.to_be_bytes());
    let header = Header::of(&bundle)?;
    let cipher = header.cipher(passphrase)?;
    let nonce = XNonce::from(header.nonce);
    cipher
        .encrypt_in_place(&nonce, &bundle, &mut *content)
        .map_err(|_| DAMAGED)?;
    bundle.extend_from_slice(&content);
    if bundle.len() > MAX {
        return Err(VaultError::UnpacksTooLarge);
    }
    Ok(bundle)
}

/// Opens a bundle. Without a passphrase it only says that one is needed.
pub(crate) fn open(bundle: &[u8], passphrase: Option<&str>) -> Result<Portable, VaultError> {
    let header = Header::of(bundle)?;
    let passphrase = passphrase.ok_or(VaultError::PassphraseMissing)?;
    let (associated, sealed) = bundle.split_at_checked(HEADER).ok_or(DAMAGED)?;
    let cipher = header.cipher(passphrase)?;
    let mut content = Zeroizing::new(sealed.to_vec());
    let opened = cipher.decrypt_in_place(&XNonce::from(header.nonce), associated, &mut *content);
    opened.map_err(|_| VaultError::PassphraseWrong)?;
    let portable = read(&content, header.epoch)?;
    // Whoever knows the passphrase can write what he likes, but not pass one device off as another.
    if fingerprint_bytes(&portable.credentials.identity.public) != header.fingerprint {
        return Err(DAMAGED);
    }
    Ok(portable)
}

/// What a bundle holds, not sealed yet.
pub(crate) fn written(portable: &Portable) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut content = Zeroizing::new(Vec::new());
    let contents = Contents {
        credentials: &portable.credentials,
        keys: &portable.keys,
    };
    ciborium::into_writer(&contents, &mut *content).map_err(|_| DAMAGED)?;
    Ok(content)
}

/// What a bundle holds, its seal taken off.
pub(crate) fn read(content: &[u8], epoch: i64) -> Result<Portable, VaultError> {
    let Content { credentials, keys } = ciborium::from_reader(content).map_err(|_| DAMAGED)?;
    let portable = Portable::new(credentials, keys).with_epoch(epoch);
    is_plausible(&portable).then_some(portable).ok_or(DAMAGED)
}

/// Numbers that others count on: an owner more, a pre-key more.
fn is_plausible(portable: &Portable) -> bool {
    let ids = portable.keys.pre_keys.iter().map(|key| key.id);
    let counters = [
        portable.credentials.next_pre_key_id,
        portable.credentials.signed_pre_key.id,
    ];
    (0..=MOST_OWNERS).contains(&portable.epoch) && ids.chain(counters).all(|id| id < PRE_KEY_IDS.end)
}

/// What stands before the seal, for everybody to read.
struct Header {
    salt: [u8; SALT],
    nonce: [u8; NONCE],
    fingerprint: [u8; FINGERPRINT],
    epoch: i64,
}

impl Header {
    fn of(bundle: &[u8]) -> Result<Self, VaultError> {
        let rest = bundle.strip_prefix(MAGIC).ok_or(DAMAGED)?;
        let (&version, rest) = rest.split_first().ok_or(DAMAGED)?;
        match version {
            VERSION => {}
            0 => return Err(DAMAGED),
            newer => return Err(VaultError::BundleNewer(newer)),
        }
        let (salt, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
        let (fingerprint, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
        let (epoch, _) = rest.split_first_chunk().ok_or(DAMAGED)?;
        Ok(Self {
            salt: *salt,
            nonce: *nonce,
            fingerprint: *fingerprint,
            epoch: i64::from_be_bytes(*epoch),
        })
    }

    fn cipher(&self, passphrase: &str) -> Result<XChaCha20Poly1305, VaultError> {
        let params = Params::new(MEMORY, PASSES, LANES, None).map_err(|_| DAMAGED)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &self.salt, &mut *key)
            .map_err(|_| DAMAGED)?;
        Ok(XChaCha20Poly1305::new(&Key::from(*key)))
    }
}
