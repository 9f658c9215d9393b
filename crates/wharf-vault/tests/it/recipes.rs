//! Credentials as Baileys makes them at linking, and the recipes of those who pass them on.

use std::io::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use wacore_libsignal::protocol::KeyPair;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub const NUMBER: &str = "15550100001";

pub fn buffer(bytes: &[u8]) -> Value {
    json!({"type": "Buffer", "data": BASE64_STANDARD.encode(bytes)})
}

fn pair(pair: &KeyPair) -> Value {
    json!({
        "private": buffer(pair.private_key.serialize()),
        "public": buffer(pair.public_key.public_key_bytes()),
    })
}

/// `creds.json` of a linked account.
pub fn creds() -> Value {
    let mut rng = StdRng::seed_from_u64(1);
    let [noise, identity, signed, account] = std::array::from_fn(|_| KeyPair::generate(&mut rng));
    let signature = identity
        .calculate_signature(&signed.public_key.serialize(), &mut rng)
        .unwrap();
    let details = b"device identity";
    let device = identity.public_key.public_key_bytes();
    let vouched = [&[6, 0], &details[..], device].concat();
    let accepted = [&[6, 1], &details[..], device, account.public_key.public_key_bytes()].concat();
    json!({
        "noiseKey": pair(&noise),
        "pairingEphemeralKeyPair": pair(&noise),
        "signedIdentityKey": pair(&identity),
        "signedPreKey": {"keyPair": pair(&signed), "signature": buffer(&signature), "keyId": 1},
        "registrationId": 217,
        "advSecretKey": BASE64_STANDARD.encode([9; 32]),
        "processedHistoryMessages": [],
        "nextPreKeyId": 31,
        "firstUnuploadedPreKeyId": 31,
        "accountSyncCounter": 1,
        "accountSettings": {"unarchiveChats": false},
        "registered": true,
        "account": {
            // As protobufjs writes it: bytes are bare base64.
            "details": BASE64_STANDARD.encode(details),
            "accountSignatureKey": BASE64_STANDARD.encode(account.public_key.public_key_bytes()),
            "accountSignature": BASE64_STANDARD.encode(account.calculate_signature(&vouched, &mut rng).unwrap()),
            "deviceSignature": BASE64_STANDARD.encode(identity.calculate_signature(&accepted, &mut rng).unwrap()),
        },
        "me": {"id": format!("{NUMBER}:12@s.whatsapp.net"), "lid": "100000000000001:12@lid", "name": "Ann"},
        "platform": "android",
    })
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes.as_ref()).unwrap();
    packer.finish().unwrap()
}

pub fn zip<'f>(files: impl IntoIterator<Item = (&'f str, Vec<u8>)>) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(&content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn tar<'f>(files: impl IntoIterator<Item = (&'f str, Vec<u8>)>) -> Vec<u8> {
    let mut writer = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len().try_into().unwrap());
        header.set_mode(0o600);
        // Not by `set_path`, which refuses what a hostile archive holds.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        writer.append(&header, content.as_slice()).unwrap();
    }
    writer.into_inner().unwrap()
}

/// A folder as `useMultiFileAuthState` keeps it.
pub fn folder() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("session/app-state-sync-version-regular.json", b"{}".to_vec()),
        ("session/creds.json", creds().to_string().into_bytes()),
        ("session/pre-key-1.json", b"{}".to_vec()),
    ]
}
