//! The keys of an account: its identity, the pre-key it signs, and the app-state key it shares with companions.

use rand::Rng as _;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use wacore_libsignal::protocol::{CurveError, IdentityKeyPair, KeyPair, PrivateKey};

use crate::network::device::SignedKey;
use crate::network::records::Blob;
use crate::wire::certificate::raw_public;

/// The only signed pre-key a virtual phone ever has.
pub(crate) const SIGNED_KEY_ID: u32 = 1;

#[derive(Clone)]
pub(crate) struct PhoneKeys {
    pub identity: KeyPair,
    pub registration: u32,
    pub signed: KeyPair,
    pub signed_signature: [u8; 64],
    /// Ties device identities and device lists of one account together.
    pub raw_id: u32,
    pub sync_key_id: [u8; 6],
    pub sync_key: [u8; 32],
}

impl std::fmt::Debug for PhoneKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhoneKeys").finish_non_exhaustive()
    }
}

/// The keys as they are stored. The public halves follow from the private ones.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyMaterial {
    identity: Blob,
    registration: u32,
    signed: Blob,
    signed_signature: Blob,
    raw_id: u32,
    sync_key_id: Blob,
    sync_key: Blob,
}

impl PhoneKeys {
    pub(crate) fn generate(rng: &mut StdRng) -> Result<Self, CurveError> {
        let (identity, signed) = (KeyPair::generate(rng), KeyPair::generate(rng));
        let signed_signature = identity.calculate_signature(&signed.public_key.serialize(), rng)?;
        let (mut sync_key_id, mut sync_key) = ([0; 6], [0; 32]);
        rng.fill_bytes(&mut sync_key_id[2..]);
        rng.fill_bytes(&mut sync_key);
        Ok(Self {
            identity,
            // Real registration ids have 14 bits and are never 0.
            registration: 1 + rng.next_u32() % 16_380,
            signed,
            signed_signature,
            raw_id: rng.next_u32(),
            sync_key_id,
            sync_key,
        })
    }

    pub(crate) fn material(&self) -> KeyMaterial {
        KeyMaterial {
            identity: Blob(self.identity.private_key.serialize().to_vec()),
            registration: self.registration,
            signed: Blob(self.signed.private_key.serialize().to_vec()),
            signed_signature: Blob(self.signed_signature.to_vec()),
            raw_id: self.raw_id,
            sync_key_id: Blob(self.sync_key_id.to_vec()),
            sync_key: Blob(self.sync_key.to_vec()),
        }
    }

    pub(crate) fn from_material(material: &KeyMaterial) -> Result<Self, String> {
        let pair = |blob: &Blob| {
            PrivateKey::deserialize(&blob.0)
                .and_then(KeyPair::try_from)
                .map_err(|failure| failure.to_string())
        };
        Ok(Self {
            identity: pair(&material.identity)?,
            registration: material.registration,
            signed: pair(&material.signed)?,
            signed_signature: material.signed_signature.clone().array()?,
            raw_id: material.raw_id,
            sync_key_id: material.sync_key_id.clone().array()?,
            sync_key: material.sync_key.clone().array()?,
        })
    }

    pub(crate) fn identity_pair(&self) -> IdentityKeyPair {
        IdentityKeyPair::from(self.identity.clone())
    }

    pub(crate) fn identity_public(&self) -> [u8; 32] {
        raw_public(&self.identity)
    }

    /// The signed pre-key as a bundle carries it.
    pub(crate) fn signed_key(&self) -> SignedKey {
        SignedKey {
            id: key_id(SIGNED_KEY_ID),
            public: raw_public(&self.signed),
            signature: self.signed_signature,
        }
    }
}

/// A pre-key id in its three bytes.
pub(crate) fn key_id(id: u32) -> [u8; 3] {
    let [_, a, b, c] = id.to_be_bytes();
    [a, b, c]
}

pub(crate) fn key_number(id: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, id[0], id[1], id[2]])
}
