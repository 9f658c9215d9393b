//! The master key: wraps data keys and does nothing else.

use std::fmt;

use subtle::ConstantTimeEq;
use wharf_model::Random;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::key::{KeyId, Sealed, SealingKey, expand};
use super::{Place, key};
use crate::error::SealError;

/// 32 random bytes that the operator holds. `Debug` prints `***`; wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new one.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits, as the key file holds them.
    ///
    /// # Errors
    /// The text is anything else; it is not repeated.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(
            data_encoding::HEXLOWER_PERMISSIVE
                .decode(text.trim().as_bytes())
                .map_err(|_| SealError::Malformed)?,
        );
        bytes.as_slice().try_into().map(Self).map_err(|_| SealError::Malformed)
    }

    /// The text of the key file.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::HEXLOWER.encode(&self.0))
    }

    /// Stored beside the data: proves that a key is the right one and tells nothing of it.
    pub(crate) fn check_value(&self) -> Result<[u8; 32], SealError> {
        expand(&self.0, b"wharf master check v1")
    }

    /// Whether this is the key that `check` was made from.
    pub(crate) fn matches(&self, check: &[u8]) -> Result<bool, SealError> {
        Ok(self.check_value()?.ct_eq(check).into())
    }

    /// Its name in the envelopes of wrapped keys.
    pub(crate) fn id(&self) -> Result<KeyId, SealError> {
        let derived = expand(&self.0, b"wharf master id v1")?;
        let mut id = [0; KeyId::LEN];
        id.copy_from_slice(&derived[..KeyId::LEN]);
        Ok(KeyId(id))
    }

    pub(crate) fn wrap(&self, random: &dyn Random, id: KeyId, raw: &[u8; 32]) -> Result<Sealed, SealError> {
        self.sealing()?.seal(random, &wrapped_place(id), raw)
    }

    pub(crate) fn unwrap(&self, id: KeyId, wrapped: &Sealed) -> Result<Zeroizing<[u8; 32]>, SealError> {
        let raw = Zeroizing::new(self.sealing()?.open(&wrapped_place(id), wrapped)?);
        raw.as_slice()
            .try_into()
            .map(Zeroizing::new)
            .map_err(|_| SealError::Malformed)
    }

    fn sealing(&self) -> Result<key::SealingKey, SealError> {
        SealingKey::derive(self.id()?, &self.0)
    }
}

fn wrapped_place(id: KeyId) -> Place {
    Place::new("data_keys", id.as_bytes(), "wrapped")
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}
