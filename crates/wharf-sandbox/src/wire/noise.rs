//! The responder's half of the three handshakes a client may start: XX, IK, and XX-fallback when an IK hello was
//! meant for another static key (protocol brief, section 2).

use buffa::{Message as _, MessageField};
use rand::rngs::StdRng;
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{HandshakeError, NoiseCipher, NoiseHandshake};
use waproto::whatsapp::{HandshakeMessage, handshake_message};

use super::certificate::{ServerKeys, raw_public};

/// "WA", magic 6, dictionary 3: the first bytes of every client and the prologue of every handshake.
pub(crate) const INTRO: [u8; 4] = [0x57, 0x41, 6, 3];

/// What a finished handshake leaves behind.
pub(crate) struct Established {
    /// The key the client proved; for a linked device this is its credential.
    pub client_static: [u8; 32],
    /// The encoded `ClientPayload`.
    pub payload: Vec<u8>,
    pub read: NoiseCipher,
    pub write: NoiseCipher,
}

/// After the first message: done, or waiting for the client's second one.
pub(crate) enum Progress {
    Established(Box<Established>),
    AwaitsFinish(Box<AwaitsFinish>),
}

pub(crate) struct AwaitsFinish {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NoiseFailure {
    #[error("the handshake message cannot be read")]
    Malformed(#[from] buffa::DecodeError),
    #[error("the handshake message lacks {0}")]
    Missing(&'static str),
    #[error("the handshake failed")]
    Handshake(#[from] HandshakeError),
}

/// Answers a `ClientHello` with the bytes of the `ServerHello`.
pub(crate) fn respond(keys: &ServerKeys, hello: &[u8], rng: &mut StdRng) -> Result<(Vec<u8>, Progress), NoiseFailure> {
    let message = HandshakeMessage::decode_from_slice(hello)?;
    let hello = message
        .client_hello
        .into_option()
        .ok_or(NoiseFailure::Missing("a client hello"))?;
    let ephemeral = hello
        .ephemeral
        .as_deref()
        .ok_or(NoiseFailure::Missing("an ephemeral key"))?;
    if ephemeral.len() != 32 {
        return Err(NoiseFailure::Missing("an ephemeral key of 32 bytes"));
    }
    let (Some(client_static), Some(payload)) = (&hello.r#static, &hello.payload) else {
        return respond_xx(keys, NOISE_PATTERN_XX, ephemeral, rng);
    };
    match respond_ik(keys, ephemeral, client_static, payload, rng) {
        Ok(done) => Ok(done),
        // The hello was sealed for a static key we do not have: start over under the fallback name.
        Err(NoiseFailure::Handshake(_)) => respond_xx(keys, NOISE_PATTERN_XXFALLBACK, ephemeral, rng),
        Err(other) => Err(other),
    }
}

fn respond_xx(
    keys: &ServerKeys,
    pattern: &str,
    client_ephemeral: &[u8],
    rng: &mut StdRng,
) -> Result<(Vec<u8>, Progress), NoiseFailure> {
    let mut noise = NoiseHandshake::new(pattern, &INTRO)?;
    noise.authenticate(client_ephemeral);
    let ephemeral = KeyPair::generate(rng);
    noise.authenticate(&raw_public(&ephemeral));
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    let sealed_static = noise.encrypt(&keys.handshake_public())?;
    noise.mix_shared_secret(keys.handshake_private(), client_ephemeral)?;
    let payload = noise.encrypt(keys.chain())?;
    let reply = server_hello(&ephemeral, Some(sealed_static), payload);
    Ok((
        reply,
        Progress::AwaitsFinish(Box::new(AwaitsFinish { noise, ephemeral })),
    ))
}

fn respond_ik(
    keys: &ServerKeys,
    client_ephemeral: &[u8],
    sealed_static: &[u8],
    sealed_payload: &[u8],
    rng: &mut StdRng,
) -> Result<(Vec<u8>, Progress), NoiseFailure> {
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &INTRO)?;
    noise.authenticate(&keys.handshake_public());
    noise.authenticate(client_ephemeral);
    noise.mix_shared_secret(keys.handshake_private(), client_ephemeral)?;
    let client_static = key32(noise.decrypt(sealed_static)?)?;
    noise.mix_shared_secret(keys.handshake_private(), &client_static)?;
    let payload = noise.decrypt(sealed_payload)?;
    let ephemeral = KeyPair::generate(rng);
    noise.authenticate(&raw_public(&ephemeral));
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_static)?;
    let chain = noise.encrypt(keys.chain())?;
    let reply = server_hello(&ephemeral, None, chain);
    Ok((
        reply,
        Progress::Established(Box::new(establish(noise, client_static, payload)?)),
    ))
}

impl AwaitsFinish {
    /// Reads the `ClientFinish` of an XX or fallback handshake.
    pub(crate) fn finish(mut self, finish: &[u8]) -> Result<Established, NoiseFailure> {
        let message = HandshakeMessage::decode_from_slice(finish)?;
        let finish = message
            .client_finish
            .into_option()
            .ok_or(NoiseFailure::Missing("a client finish"))?;
        let sealed_static = finish.r#static.ok_or(NoiseFailure::Missing("a static key"))?;
        let sealed_payload = finish.payload.ok_or(NoiseFailure::Missing("a payload"))?;
        let client_static = key32(self.noise.decrypt(&sealed_static)?)?;
        self.noise
            .mix_shared_secret(self.ephemeral.private_key.serialize(), &client_static)?;
        let payload = self.noise.decrypt(&sealed_payload)?;
        establish(self.noise, client_static, payload)
    }
}

fn establish(noise: NoiseHandshake, client_static: [u8; 32], payload: Vec<u8>) -> Result<Established, NoiseFailure> {
    // The split names the halves from the initiator's side: the first one is client to server.
    let (read, write) = noise.finish()?;
    Ok(Established {
        client_static,
        payload,
        read,
        write,
    })
}

fn server_hello(ephemeral: &KeyPair, sealed_static: Option<Vec<u8>>, payload: Vec<u8>) -> Vec<u8> {
    HandshakeMessage {
        server_hello: MessageField::some(handshake_message::ServerHello {
            ephemeral: Some(raw_public(ephemeral).to_vec()),
            r#static: sealed_static,
            payload: Some(payload),
            ..Default::default()
        }),
        ..Default::default()
    }
    .encode_to_vec()
}

fn key32(bytes: Vec<u8>) -> Result<[u8; 32], NoiseFailure> {
    bytes
        .try_into()
        .map_err(|_| NoiseFailure::Missing("a static key of 32 bytes"))
}
