//! One symmetric key and what can be done with it.

use std::fmt;

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use wharf_model::Random;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Place;
use crate::error::SealError;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const HEADER: usize = 1 + KeyId::LEN + NONCE;

/// Names a key in the envelope of what it sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; Self::LEN]);

impl KeyId {
    pub(crate) const LEN: usize = 8;

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// A sealed value: the envelope as it stands in its column. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub(crate) Vec<u8>);

impl Sealed {
    /// An envelope that was stored elsewhere.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The envelope.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key that it needs.
    pub fn key_id(&self) -> Option<KeyId> {
        let id = self.0.get(1..=KeyId::LEN)?;
        id.try_into().ok().map(KeyId)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A keyed hash that stands in an index for a text that must not: an address, a chat.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blind(pub(crate) [u8; 16]);

impl Blind {
    /// The 16 bytes that storage keeps.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// What storage kept.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blind(***)")
    }
}

/// A 32-byte key with three derived ones: to seal with, to blind with, and to know one-time codes by. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealingKey {
    #[zeroize(skip)]
    id: KeyId,
    seal: [u8; 32],
    blind: [u8; 32],
    code: [u8; 32],
}

impl SealingKey {
    /// Derives the three working keys, so that no key serves two ciphers.
    pub(crate) fn derive(id: KeyId, raw: &[u8; 32]) -> Result<Self, SealError> {
        Ok(Self {
            id,
            seal: expand(raw, b"wharf seal v1")?,
            blind: expand(raw, b"wharf blind v1")?,
            code: expand(raw, b"wharf code v1")?,
        })
    }

    /// Its name in envelopes.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Encrypts a value for its place.
    ///
    /// # Errors
    /// Never for values that fit in memory; the cipher's limit is 256 GiB.
    pub fn seal(&self, random: &dyn Random, place: &Place, plaintext: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce);
        let cipher = XChaCha20Poly1305::new(&self.seal.into());
        let payload = Payload {
            msg: plaintext,
            aad: &place.associated_data(),
        };
        let ciphertext = cipher
            .encrypt(&nonce.into(), payload)
            .map_err(|_| SealError::Malformed)?;
        let mut envelope = Vec::with_capacity(HEADER + ciphertext.len());
        envelope.push(VERSION);
        envelope.extend_from_slice(&self.id.0);
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&ciphertext);
        Ok(Sealed(envelope))
    }

    /// Decrypts a value that was sealed for this place.
    ///
    /// # Errors
    /// The envelope is of another version, another key or another place, or was changed.
    pub fn open(&self, place: &Place, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let (header, ciphertext) = sealed.0.split_at_checked(HEADER).ok_or(SealError::Malformed)?;
        if header.first() != Some(&VERSION) {
            return Err(SealError::Malformed);
        }
        if sealed.key_id() != Some(self.id) {
            return Err(SealError::OtherKey);
        }
        let nonce: [u8; NONCE] = header[1 + KeyId::LEN..].try_into().map_err(|_| SealError::Malformed)?;
        let cipher = XChaCha20Poly1305::new(&self.seal.into());
        let payload = Payload {
            msg: ciphertext,
            aad: &place.associated_data(),
        };
        cipher.decrypt(&nonce.into(), payload).map_err(|_| SealError::Tampered)
    }

    /// A stand-in for a text in an index. `kind` keeps equal texts of different meaning apart.
    pub fn blind(&self, kind: &str, text: &[u8]) -> Blind {
        let mut mac = keyed(&self.blind);
        mac.update(&(kind.len() as u64).to_be_bytes());
        mac.update(kind.as_bytes());
        mac.update(text);
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        Blind(half)
    }
}

impl SealingKey {
    /// HMAC-SHA-256 over what a one-time code belongs to and the code. Each part goes in with its length, so that no two
    /// lists of parts are the same text.
    pub(crate) fn code_mac(&self, parts: &[&[u8]]) -> CodeMac {
        let mut mac = keyed(&self.code);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        CodeMac(mac.finalize().into_bytes().into())
    }
}

/// HMAC pads its key with zeros to one block; done here, it leaves no length to be wrong.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new(&block.into());
    block.zeroize();
    mac
}

/// What a one-time code is known by (OTP-3 of the services brief): without the workspace's key nobody can search the codes
/// for it. Compared in constant time.
#[derive(Clone, Copy)]
pub struct CodeMac(pub(crate) [u8; 32]);

impl CodeMac {
    /// Whether both are of the same code. Takes the same time for all pairs.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for CodeMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeMac(***)")
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

/// HKDF-SHA256 of a key that is uniformly random already.
pub(crate) fn expand(raw: &[u8; 32], purpose: &[u8]) -> Result<[u8; 32], SealError> {
    let mut derived = [0; 32];
    // Fails only for outputs longer than 8,160 bytes.
    Hkdf::<Sha256>::new(None, raw)
        .expand(purpose, &mut derived)
        .map_err(|_| SealError::Malformed)?;
    Ok(derived)
}
