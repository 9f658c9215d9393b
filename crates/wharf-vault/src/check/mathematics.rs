//! Whether keys and signatures belong together (protocol brief, sections 5 and 13).

use wacore_libsignal::protocol::{PrivateKey, PublicKey};

use super::Check;
use crate::credentials::{Credentials, DeviceIdentity, KeyPair};

/// What is signed begins with its kind; an account lives on a phone, or is hosted.
const ACCOUNT_SIGNATURES: [[u8; 2]; 2] = [[6, 0], [6, 5]];
const DEVICE_SIGNATURES: [[u8; 2]; 2] = [[6, 1], [6, 6]];

const SAME_PAIR: [&str; 2] = [
    "Its halves belong together.",
    "Its public half does not follow from its private half.",
];

/// Every check that needs no connection.
pub(crate) fn mathematics(credentials: &Credentials) -> Vec<Check> {
    let Credentials {
        noise,
        identity,
        signed_pre_key,
        account,
        ..
    } = credentials;
    let pre_key = public(&signed_pre_key.pair.public).map(|key| key.serialize());
    let pre_key_signed = public(&identity.public)
        .zip(pre_key)
        .is_some_and(|(signer, pre_key)| signer.verify_signature(&pre_key, &signed_pre_key.signature));
    let (by_account, by_device) = identity_signatures(account, &identity.public);
    vec![
        Check::of("noise_key_pair", is_pair(noise), SAME_PAIR),
        Check::of("identity_key_pair", is_pair(identity), SAME_PAIR),
        Check::of("signed_pre_key_pair", is_pair(&signed_pre_key.pair), SAME_PAIR),
        Check::of(
            "signed_pre_key_signature",
            pre_key_signed,
            [
                "The identity key signed the pre-key.",
                "The identity key did not sign this pre-key.",
            ],
        ),
        Check::of(
            "account_signature",
            by_account,
            [
                "The account vouches for this device.",
                "The account's signature is not of this device.",
            ],
        ),
        Check::of(
            "device_signature",
            by_device,
            [
                "This device accepted the account.",
                "The device's signature is not of this account.",
            ],
        ),
    ]
}

fn is_pair(pair: &KeyPair) -> bool {
    let derived = PrivateKey::deserialize(&*pair.private).and_then(|private| private.public_key());
    derived.is_ok_and(|derived| derived.public_key_bytes() == pair.public)
}

fn public(bytes: &[u8; 32]) -> Option<PublicKey> {
    PublicKey::from_djb_public_key_bytes(bytes).ok()
}

/// Whether the account signed the device, and the device the account.
fn identity_signatures(account: &DeviceIdentity, device: &[u8; 32]) -> (bool, bool) {
    let by_account = [&account.details[..], device].concat();
    let by_device = [&by_account[..], &account.account_key].concat();
    (
        signed(
            &account.account_key,
            ACCOUNT_SIGNATURES,
            &by_account,
            &account.account_signature,
        ),
        signed(device, DEVICE_SIGNATURES, &by_device, &account.device_signature),
    )
}

/// Whether the key signed this as one of the kinds.
fn signed(key: &[u8; 32], kinds: [[u8; 2]; 2], what: &[u8], signature: &[u8; 64]) -> bool {
    public(key).is_some_and(|key| {
        kinds
            .iter()
            .any(|kind| key.verify_signature(&[&kind[..], what].concat(), signature))
    })
}
