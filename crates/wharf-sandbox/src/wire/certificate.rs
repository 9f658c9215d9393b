//! Owns the keys a server proves itself with: a root key that exists only in this sandbox, an intermediate key and
//! the static key of the handshake. They stay the same as long as the store lives, because clients keep the static
//! key and use it for their next handshake (protocol brief, section 2).

use buffa::{Message as _, MessageField};
use rand::rngs::StdRng;
use wacore_libsignal::protocol::{CurveError, KeyPair, PrivateKey};
use waproto::whatsapp::{CertChain, cert_chain};

/// Clients use 0-RTT only inside both windows, so they are as wide as the field allows.
const NOT_BEFORE: u64 = 0;
const NOT_AFTER: u64 = 4_102_444_800;

#[derive(Clone)]
pub(crate) struct ServerKeys {
    root: KeyPair,
    intermediate: KeyPair,
    handshake: KeyPair,
    chain: Vec<u8>,
}

impl std::fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerKeys").finish_non_exhaustive()
    }
}

impl ServerKeys {
    pub(crate) fn generate(rng: &mut StdRng) -> Result<Self, CurveError> {
        let (root, intermediate) = (KeyPair::generate(rng), KeyPair::generate(rng));
        Self::assemble(root, intermediate, KeyPair::generate(rng), rng)
    }

    /// Reads back what `to_bytes` wrote.
    pub(crate) fn from_bytes(bytes: &[u8], rng: &mut StdRng) -> Result<Self, CurveError> {
        let pair = |part: usize| -> Result<KeyPair, CurveError> {
            let private = bytes.get(part * 32..part * 32 + 32).unwrap_or_default();
            KeyPair::try_from(PrivateKey::deserialize(private)?)
        };
        Self::assemble(pair(0)?, pair(1)?, pair(2)?, rng)
    }

    /// The three private keys; the chain is signed anew at every start.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&self.root, &self.intermediate, &self.handshake]
            .iter()
            .flat_map(|pair| pair.private_key.serialize().iter().copied())
            .collect()
    }

    pub(crate) fn root_public(&self) -> [u8; 32] {
        raw_public(&self.root)
    }

    pub(crate) fn handshake_public(&self) -> [u8; 32] {
        raw_public(&self.handshake)
    }

    pub(crate) fn handshake_private(&self) -> &[u8; 32] {
        self.handshake.private_key.serialize()
    }

    /// The encoded `CertChain` every handshake carries.
    pub(crate) fn chain(&self) -> &[u8] {
        &self.chain
    }

    fn assemble(
        root: KeyPair,
        intermediate: KeyPair,
        handshake: KeyPair,
        rng: &mut StdRng,
    ) -> Result<Self, CurveError> {
        let chain = CertChain {
            intermediate: MessageField::some(certify(&root, (1, 0), &intermediate, rng)?),
            leaf: MessageField::some(certify(&intermediate, (2, 1), &handshake, rng)?),
        };
        Ok(Self {
            root,
            intermediate,
            handshake,
            chain: chain.encode_to_vec(),
        })
    }
}

fn certify(
    issuer: &KeyPair,
    (serial, issuer_serial): (u32, u32),
    subject: &KeyPair,
    rng: &mut StdRng,
) -> Result<cert_chain::NoiseCertificate, CurveError> {
    let details = cert_chain::noise_certificate::Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(raw_public(subject).to_vec()),
        not_before: Some(NOT_BEFORE),
        not_after: Some(NOT_AFTER),
    }
    .encode_to_vec();
    let signature = issuer.calculate_signature(&details, rng)?.to_vec();
    Ok(cert_chain::NoiseCertificate {
        details: Some(details),
        signature: Some(signature),
    })
}

/// A public key without the type byte, as Noise and the identity fields carry it.
pub(crate) fn raw_public(pair: &KeyPair) -> [u8; 32] {
    let mut raw = [0; 32];
    raw.copy_from_slice(pair.public_key.public_key_bytes());
    raw
}
