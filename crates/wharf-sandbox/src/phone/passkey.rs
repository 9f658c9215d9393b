//! Linking by passkey: a software authenticator that holds the account's passkey (Web Authentication Level 3, section 6),
//! and the phone's half of the exchange that follows a good assertion. Only who sees both screens knows the code that
//! both sides come to, and only then the companion sends its secret.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use buffa::Message as _;
use rand::RngExt as _;
use rand::rngs::StdRng;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wacore::shortcake::ShortcakeUtils;
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp::device_props::PlatformType;
use waproto::whatsapp::{
    CompanionEphemeralIdentity, EncryptedPairingRequest, PairingRequest, PrimaryEphemeralIdentity, ProloguePayload,
};

use crate::network::records::Blob;
use crate::wire::certificate::raw_public;

/// Whom passkeys of accounts are for, and the only page that may ask for them.
const RELYING_PARTY: &str = "web.whatsapp.com";
const ORIGIN: &str = "https://web.whatsapp.com";
/// A person was there, and it was the right one.
const PRESENT_AND_VERIFIED: u8 = 0b101;
/// The hash of the relying party, the flags, a counter that stays 0.
const AUTHENTICATOR_DATA: usize = 32 + 1 + 4;

/// The passkey of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Passkey {
    credential: Blob,
    /// PKCS #8.
    private: Blob,
}

/// Why an assertion does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoAssertion(&'static str);

/// What a companion sends to prove that a passkey signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assertion {
    pub credential: Vec<u8>,
    /// JSON, as browsers make it.
    pub json: Vec<u8>,
}

impl Passkey {
    /// `None` when the system has no random numbers.
    pub(crate) fn generate(rng: &mut StdRng) -> Option<Self> {
        let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).ok()?;
        Some(Self {
            credential: Blob(rng.random::<[u8; 16]>().to_vec()),
            private: Blob(private.as_ref().to_vec()),
        })
    }

    /// What a companion has to get signed (`PublicKeyCredentialRequestOptions`).
    pub(crate) fn options(&self, challenge: &[u8; 32]) -> String {
        json!({
            "challenge": BASE64_URL_SAFE_NO_PAD.encode(challenge),
            "rpId": RELYING_PARTY,
            "timeout": 60_000,
            "userVerification": "required",
            "allowCredentials": [{ "type": "public-key", "id": BASE64_URL_SAFE_NO_PAD.encode(&self.credential.0) }],
        })
        .to_string()
    }

    /// Signs what the options ask for, as if the owner had shown his finger.
    pub(crate) fn sign(&self, options: &str) -> Result<Assertion, NoAssertion> {
        let options: Value = serde_json::from_str(options).map_err(|_| NoAssertion("the options are not JSON"))?;
        let challenge = options["challenge"]
            .as_str()
            .ok_or(NoAssertion("the options have no challenge"))?;
        if options["rpId"].as_str() != Some(RELYING_PARTY) {
            return Err(NoAssertion("the options are for somebody else"));
        }
        let client = json!({ "type": "webauthn.get", "challenge": challenge, "origin": ORIGIN, "crossOrigin": false });
        let client = client.to_string().into_bytes();
        let mut data = Sha256::digest(RELYING_PARTY).to_vec();
        data.push(PRESENT_AND_VERIFIED);
        data.extend_from_slice(&[0; 4]);
        let random = SystemRandom::new();
        let signed = self
            .pair()?
            .sign(&random, &signed_bytes(&data, &client))
            .map_err(|_| NoAssertion("the passkey cannot sign"))?;
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let id = text(&self.credential.0);
        let json = json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": {
                "clientDataJSON": text(&client),
                "authenticatorData": text(&data),
                "signature": text(signed.as_ref()),
                "userHandle": null,
            },
        });
        Ok(Assertion {
            credential: self.credential.0.clone(),
            json: json.to_string().into_bytes(),
        })
    }

    /// Checks an assertion as a relying party has to (section 7.2).
    pub(crate) fn verify(&self, challenge: &[u8; 32], assertion: &Assertion) -> Result<(), NoAssertion> {
        if assertion.credential != self.credential.0 {
            return Err(NoAssertion("another passkey signed"));
        }
        let json: Value =
            serde_json::from_slice(&assertion.json).map_err(|_| NoAssertion("the assertion is not JSON"))?;
        let part = |name: &str| {
            let text = json["response"][name].as_str().unwrap_or_default();
            BASE64_URL_SAFE_NO_PAD
                .decode(text.trim_end_matches('='))
                .map_err(|_| NoAssertion("a part of the assertion is not base64url"))
        };
        let (client, data, signature) = (part("clientDataJSON")?, part("authenticatorData")?, part("signature")?);
        check_client(&client, challenge)?;
        check_data(&data)?;
        let public = self.pair()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public.public_key().as_ref())
            .verify(&signed_bytes(&data, &client), &signature)
            .map_err(|_| NoAssertion("the signature is wrong"))
    }

    fn pair(&self) -> Result<EcdsaKeyPair, NoAssertion> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.private.0, &SystemRandom::new())
            .map_err(|_| NoAssertion("the passkey cannot be read"))
    }
}

fn signed_bytes(data: &[u8], client: &[u8]) -> Vec<u8> {
    [data, &Sha256::digest(client)[..]].concat()
}

fn check_client(client: &[u8], challenge: &[u8; 32]) -> Result<(), NoAssertion> {
    let client: Value = serde_json::from_slice(client).map_err(|_| NoAssertion("the client data are not JSON"))?;
    let answered = client["challenge"].as_str().unwrap_or_default().trim_end_matches('=');
    if answered != BASE64_URL_SAFE_NO_PAD.encode(challenge) {
        return Err(NoAssertion("another challenge was signed"));
    }
    if client["type"] != "webauthn.get" || client["origin"] != ORIGIN {
        return Err(NoAssertion("another page asked for the signature"));
    }
    Ok(())
}

fn check_data(data: &[u8]) -> Result<(), NoAssertion> {
    let party = Sha256::digest(RELYING_PARTY);
    if data.len() < AUTHENTICATOR_DATA || !data.starts_with(&party) {
        return Err(NoAssertion("the signature is for somebody else"));
    }
    if data[party.len()] & PRESENT_AND_VERIFIED != PRESENT_AND_VERIFIED {
        return Err(NoAssertion("nobody was there, or nobody knows who"));
    }
    Ok(())
}

/// A companion's opening words: its key for this exchange, and its promise of a nonce.
#[derive(Debug)]
struct Prologue {
    identity: Vec<u8>,
    public: [u8; 32],
    platform: PlatformType,
    reference: String,
    commitment: Vec<u8>,
}

impl Prologue {
    fn read(payload: &[u8]) -> Option<Self> {
        let payload = ProloguePayload::decode_from_slice(payload).ok()?;
        let identity = payload.companion_ephemeral_identity?;
        let read = CompanionEphemeralIdentity::decode_from_slice(&identity).ok()?;
        Some(Self {
            public: read.public_key?.try_into().ok()?,
            platform: read.device_type.unwrap_or(PlatformType::UNKNOWN),
            reference: read.r#ref?,
            commitment: payload.commitment.into_option()?.hash?,
            identity,
        })
    }
}

/// The phone's side of an exchange with one companion.
pub(crate) struct Exchange {
    companion: Prologue,
    ephemeral: KeyPair,
    nonce: [u8; 32],
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

impl Exchange {
    /// Begins with what the companion said. `None` when it is nonsense, or about another reference.
    pub(crate) fn begin(prologue: &[u8], reference: &str, rng: &mut StdRng) -> Option<Self> {
        let companion = Prologue::read(prologue)?;
        (companion.reference == reference).then(|| Self {
            companion,
            ephemeral: KeyPair::generate(rng),
            nonce: rng.random(),
        })
    }

    /// What the phone says in return.
    pub(crate) fn identity(&self) -> Vec<u8> {
        PrimaryEphemeralIdentity {
            public_key: Some(raw_public(&self.ephemeral).to_vec()),
            nonce: Some(self.nonce.to_vec()),
        }
        .encode_to_vec()
    }

    /// The code that both screens show, if the nonce is the one that was promised.
    pub(crate) fn code(&self, companion_nonce: &[u8]) -> Option<String> {
        let nonce: &[u8; 32] = companion_nonce.try_into().ok()?;
        let promised = ShortcakeUtils::commitment_hash(&self.companion.identity, nonce);
        (promised[..] == self.companion.commitment[..])
            .then(|| ShortcakeUtils::derive_verification_code(nonce, &raw_public(&self.ephemeral), &self.nonce))
    }

    /// What the companion sends once its owner saw the same code on both screens.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<PairingRequest> {
        let sealed = EncryptedPairingRequest::decode_from_slice(sealed).ok()?;
        let (public, platform) = (&self.companion.public, self.companion.platform);
        let key = ShortcakeUtils::derive_encryption_key(&self.ephemeral, public, platform, &self.companion.reference);
        let iv: [u8; 12] = sealed.iv?.try_into().ok()?;
        let mut plain = Vec::new();
        aes_256_gcm_decrypt(&key.ok()?, &iv, b"", &sealed.encrypted_payload?, &mut plain).ok()?;
        PairingRequest::decode_from_slice(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    const CHALLENGE: [u8; 32] = [3; 32];

    fn passkey() -> Passkey {
        Passkey::generate(&mut StdRng::seed_from_u64(7)).unwrap()
    }

    #[test]
    fn an_assertion_counts_for_the_challenge_it_was_made_for() {
        let passkey = passkey();
        let assertion = passkey.sign(&passkey.options(&CHALLENGE)).unwrap();
        assert_eq!(passkey.verify(&CHALLENGE, &assertion), Ok(()));
        assert!(passkey.verify(&[4; 32], &assertion).is_err());
        let other = Passkey::generate(&mut StdRng::seed_from_u64(8)).unwrap();
        assert!(other.verify(&CHALLENGE, &assertion).is_err());
    }

    #[test]
    fn nothing_that_was_signed_can_be_changed() {
        let passkey = passkey();
        let assertion = passkey.sign(&passkey.options(&CHALLENGE)).unwrap();
        let json: Value = serde_json::from_slice(&assertion.json).unwrap();
        for name in ["clientDataJSON", "authenticatorData", "signature"] {
            let mut bytes = BASE64_URL_SAFE_NO_PAD
                .decode(json["response"][name].as_str().unwrap())
                .unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            let mut changed = json.clone();
            changed["response"][name] = BASE64_URL_SAFE_NO_PAD.encode(bytes).into();
            let changed = Assertion {
                json: changed.to_string().into_bytes(),
                ..assertion.clone()
            };
            assert!(passkey.verify(&CHALLENGE, &changed).is_err(), "{name}");
        }
        for json in [&b"{}"[..], b"", b"[]", b"{\"response\":{\"signature\":\"%\"}}"] {
            let rubbish = Assertion {
                json: json.to_vec(),
                ..assertion.clone()
            };
            assert!(passkey.verify(&CHALLENGE, &rubbish).is_err());
        }
    }

    #[test]
    fn options_of_others_are_not_signed() {
        let passkey = passkey();
        for options in ["", "{}", "{\"challenge\":\"AAAA\",\"rpId\":\"example.org\"}"] {
            assert!(passkey.sign(options).is_err(), "{options}");
        }
    }
}
