//! The phone's half of linking by an eight-character code (protocol brief, section 6). Code and keys never travel in the
//! clear: whoever does not know the code ends with another key than the companion, and cannot read its bundle.

use rand::rngs::StdRng;
use wacore::crypto::hkdf_sha256_into;
use wacore::pair_code::{PairCodeError, PairCodeUtils};
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{KeyPair, PublicKey};

use super::identity::PhoneKeys;
use crate::wire::certificate::raw_public;

const SALT: usize = 32;
const NONCE: usize = 12;
const KEY: usize = 32;
const BUNDLE_INFO: &[u8] = b"link_code_pairing_key_bundle_encryption_key";

/// A code as the person typed it: eight characters; spaces, dashes and case do not count.
pub(crate) fn tidy_code(typed: &str) -> Option<String> {
    let code: String = typed
        .chars()
        .filter(|character| !character.is_whitespace() && *character != '-')
        .collect();
    PairCodeUtils::validate_code(&code).then(|| code.to_ascii_uppercase())
}

/// A code that was typed, on its way to be proven right.
pub(crate) struct Typed {
    ephemeral: KeyPair,
    companion_ephemeral: PublicKey,
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Typed").finish_non_exhaustive()
    }
}

/// Whoever made the bundle knew another code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongCode;

impl Typed {
    /// Reads the companion's hello with the code and makes the phone's own, 80 bytes. Takes some 100 ms of processor on
    /// purpose: codes are short, and guessing must be slow.
    pub(crate) fn answer(code: &str, wrapped: &[u8], rng: &mut StdRng) -> Result<(Self, Vec<u8>), PairCodeError> {
        // The call is named for the other direction; both are wrapped alike.
        let companion = PairCodeUtils::decrypt_primary_ephemeral_pub(wrapped, code)?;
        let companion_ephemeral =
            PublicKey::from_djb_public_key_bytes(&companion).map_err(PairCodeError::InvalidPrimaryEphemeralKey)?;
        let ephemeral = KeyPair::generate(rng);
        let own = PairCodeUtils::encrypt_ephemeral_pub(&raw_public(&ephemeral), code);
        let typed = Self {
            ephemeral,
            companion_ephemeral,
        };
        Ok((typed, own.to_vec()))
    }

    /// Opens the companion's bundle; returns the secret that `pair-success` is sealed with.
    pub(crate) fn open_bundle(
        &self,
        keys: &PhoneKeys,
        companion_identity: &[u8; KEY],
        bundle: &[u8],
    ) -> Result<[u8; KEY], WrongCode> {
        let shared = agree(&self.ephemeral, &self.companion_ephemeral)?;
        let plain = unwrap_bundle(&shared, bundle)?;
        let (companion, rest) = plain.split_at_checked(KEY).ok_or(WrongCode)?;
        let (phone, random) = rest.split_at_checked(KEY).ok_or(WrongCode)?;
        if companion != companion_identity || phone != keys.identity_public() || random.len() != KEY {
            return Err(WrongCode);
        }
        let companion = PublicKey::from_djb_public_key_bytes(companion).map_err(|_| WrongCode)?;
        let identities = agree(&keys.identity, &companion)?;
        let mut secret = [0; KEY];
        let material = [&shared[..], &identities, random].concat();
        hkdf_sha256_into(&material, None, b"adv_secret", &mut secret).map_err(|_| WrongCode)?;
        Ok(secret)
    }
}

fn unwrap_bundle(shared: &[u8], bundle: &[u8]) -> Result<Vec<u8>, WrongCode> {
    let (salt, rest) = bundle.split_at_checked(SALT).ok_or(WrongCode)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or(WrongCode)?;
    let nonce: &[u8; NONCE] = nonce.try_into().map_err(|_| WrongCode)?;
    let mut key = [0; KEY];
    hkdf_sha256_into(shared, Some(salt), BUNDLE_INFO, &mut key).map_err(|_| WrongCode)?;
    let mut plain = Vec::new();
    aes_256_gcm_decrypt(&key, nonce, b"", sealed, &mut plain).map_err(|_| WrongCode)?;
    Ok(plain)
}

fn agree(own: &KeyPair, other: &PublicKey) -> Result<Vec<u8>, WrongCode> {
    let shared = own.private_key.calculate_agreement(other).map_err(|_| WrongCode)?;
    Ok(shared.to_vec())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    /// Both halves with these two codes; the companion's secret, and what the phone came to.
    fn link(shown: &str, typed: &str) -> ([u8; KEY], Result<[u8; KEY], WrongCode>) {
        let mut rng = StdRng::seed_from_u64(7);
        let keys = PhoneKeys::generate(&mut rng).unwrap();
        let (ephemeral, identity) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
        let hello = PairCodeUtils::encrypt_ephemeral_pub(&raw_public(&ephemeral), shown);
        let (phone, answer) = Typed::answer(typed, &hello, &mut rng).unwrap();
        let phone_ephemeral = PairCodeUtils::decrypt_primary_ephemeral_pub(&answer, shown).unwrap();
        let (bundle, secret) =
            PairCodeUtils::prepare_key_bundle(&ephemeral, &phone_ephemeral, &keys.identity_public(), &identity)
                .unwrap();
        (secret, phone.open_bundle(&keys, &raw_public(&identity), &bundle))
    }

    #[test]
    fn the_right_code_gives_both_the_same_secret() {
        let (companion, phone) = link("ABCD1234", "ABCD1234");
        assert_eq!(phone, Ok(companion));
    }

    #[test]
    fn a_wrong_code_opens_nothing() {
        assert_eq!(link("ABCD1234", "ABCD1235").1, Err(WrongCode));
    }

    #[test]
    fn a_bundle_that_is_no_bundle_is_a_wrong_code() {
        let mut rng = StdRng::seed_from_u64(7);
        let keys = PhoneKeys::generate(&mut rng).unwrap();
        let hello = PairCodeUtils::encrypt_ephemeral_pub(&raw_public(&KeyPair::generate(&mut rng)), "ABCD1234");
        let (phone, _) = Typed::answer("ABCD1234", &hello, &mut rng).unwrap();
        for length in [0, 31, 43, 44, 156] {
            assert_eq!(phone.open_bundle(&keys, &[1; 32], &vec![0; length]), Err(WrongCode));
        }
        assert!(Typed::answer("ABCD1234", &hello[..79], &mut rng).is_err());
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        assert_eq!(tidy_code(" abcd-1234 ").as_deref(), Some("ABCD1234"));
        for wrong in ["", "ABCD123", "ABCD12345", "ABCD123O", "ÄBCD1234"] {
            assert_eq!(tidy_code(wrong), None, "{wrong}");
        }
    }
}
