//! The signatures that tie companions to an account: device identities at linking, key-index lists ever after
//! (protocol brief, sections 5 and 8).

use buffa::Message as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use sha2::Sha256;
use wacore_libsignal::protocol::{CurveError, PublicKey};
use waproto::whatsapp::{
    ADVDeviceIdentity, ADVEncryptionType, ADVKeyIndexList, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC,
    ADVSignedKeyIndexList,
};

use super::identity::PhoneKeys;

const ACCOUNT_PREFIX: [u8; 2] = [6, 0];
const DEVICE_PREFIX: [u8; 2] = [6, 1];
const KEY_INDEX_PREFIX: [u8; 2] = [6, 2];

/// A device identity signed by the phone, not yet by the companion.
#[derive(Debug, Clone)]
pub(crate) struct AccountSigned {
    details: Vec<u8>,
    signature: [u8; 64],
    account_key: [u8; 32],
    companion: [u8; 32],
}

/// Vouches for a companion's identity key.
pub(crate) fn sign_companion(
    keys: &PhoneKeys,
    companion: [u8; 32],
    key_index: u32,
    at: u64,
    rng: &mut StdRng,
) -> Result<AccountSigned, CurveError> {
    let details = ADVDeviceIdentity {
        raw_id: Some(keys.raw_id),
        timestamp: Some(at),
        key_index: Some(key_index),
        account_type: Some(ADVEncryptionType::E2EE),
        device_type: Some(ADVEncryptionType::E2EE),
    }
    .encode_to_vec();
    let signed = [&ACCOUNT_PREFIX[..], &details, &companion].concat();
    let signature = keys.identity.calculate_signature(&signed, rng)?;
    Ok(AccountSigned {
        details,
        signature,
        account_key: keys.identity_public(),
        companion,
    })
}

impl AccountSigned {
    /// The container of `pair-success`, sealed with the secret of the QR code.
    pub(crate) fn container(&self, adv_secret: &[u8; 32]) -> Vec<u8> {
        let identity = self.identity(None).encode_to_vec();
        // HMAC pads a short key with zeros to its block; doing that here leaves nothing that could fail.
        let mut key = [0; 64];
        key[..32].copy_from_slice(adv_secret);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(&identity);
        ADVSignedDeviceIdentityHMAC {
            hmac: Some(mac.finalize().into_bytes().to_vec()),
            details: Some(identity),
            ..Default::default()
        }
        .encode_to_vec()
    }

    /// Checks the companion's signature and returns the identity others get with its bundles. Some clients leave the
    /// account key out of their answer, so our own copy is what is checked and kept.
    pub(crate) fn complete(&self, answer: &[u8]) -> Result<Vec<u8>, &'static str> {
        let answer = ADVSignedDeviceIdentity::decode_from_slice(answer).map_err(|_| "unreadable device identity")?;
        let signature = answer.device_signature.ok_or("missing device signature")?;
        let signed = [&DEVICE_PREFIX[..], &self.details, &self.companion, &self.account_key].concat();
        let companion = PublicKey::from_djb_public_key_bytes(&self.companion).map_err(|_| "bad identity key")?;
        if !companion.verify_signature(&signed, &signature) {
            return Err("wrong device signature");
        }
        Ok(self.identity(Some(signature)).encode_to_vec())
    }

    fn identity(&self, device_signature: Option<Vec<u8>>) -> ADVSignedDeviceIdentity {
        ADVSignedDeviceIdentity {
            details: Some(self.details.clone()),
            account_signature_key: Some(self.account_key.to_vec()),
            account_signature: Some(self.signature.to_vec()),
            device_signature,
        }
    }
}

/// Signs which device indexes are valid. Without it whatsapp-rust ignores all companions of an account.
pub(crate) fn sign_key_indexes(
    keys: &PhoneKeys,
    indexes: &[u32],
    current: u32,
    at: u64,
    rng: &mut StdRng,
) -> Result<Vec<u8>, CurveError> {
    let details = ADVKeyIndexList {
        raw_id: Some(keys.raw_id),
        timestamp: Some(at),
        current_index: Some(current),
        valid_indexes: std::iter::once(0).chain(indexes.iter().copied()).collect(),
        ..Default::default()
    }
    .encode_to_vec();
    let signed = [&KEY_INDEX_PREFIX[..], &details].concat();
    let signature = keys.identity.calculate_signature(&signed, rng)?;
    Ok(ADVSignedKeyIndexList {
        details: Some(details),
        account_signature: Some(signature.to_vec()),
        account_signature_key: Some(keys.identity_public().to_vec()),
    }
    .encode_to_vec())
}
