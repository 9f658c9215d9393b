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

/// A conversation as the JavaScript libsignal writes it: one that goes on, with a message that was passed over, and one
/// that is over.
pub fn conversation() -> Value {
    let mut rng = StdRng::seed_from_u64(2);
    let mut key = || KeyPair::generate(&mut rng);
    let peer = key();
    let text = |bytes: &[u8]| Value::from(BASE64_STANDARD.encode(bytes));
    let public = |pair: &KeyPair| text(&pair.public_key.serialize());
    let mut entry = |closed: i64| {
        let [base, ours, theirs] = [key(), key(), key()];
        let entry = json!({
            "registrationId": 4711,
            "currentRatchet": {
                "ephemeralKeyPair": {"pubKey": public(&ours), "privKey": text(ours.private_key.serialize())},
                "lastRemoteEphemeralKey": public(&theirs),
                "previousCounter": -1,
                "rootKey": text(&[7; 32]),
            },
            "indexInfo": {
                "baseKey": public(&base),
                "baseKeyType": 2,
                "closed": closed,
                "used": 1_700_000_000_000_u64,
                "created": 1_700_000_000_000_u64,
                "remoteIdentityKey": public(&peer),
            },
            "_chains": {
                public(&theirs).as_str().unwrap(): {
                    "chainKey": {"counter": 2, "key": text(&[8; 32])},
                    "chainType": 2,
                    "messageKeys": {"1": text(&[9; 32])},
                },
                public(&ours).as_str().unwrap(): {
                    "chainKey": {"counter": 0, "key": text(&[10; 32])},
                    "chainType": 1,
                    "messageKeys": {},
                },
            },
        });
        (public(&base).as_str().unwrap().to_owned(), entry)
    };
    let sessions = [entry(-1), entry(1_700_000_001_000)];
    json!({"_sessions": Value::Object(sessions.into_iter().collect()), "version": "v1"})
}

/// The sender key of somebody else, with a state that was replaced.
pub fn sender_key() -> Value {
    let mut rng = StdRng::seed_from_u64(3);
    let mut state = |id: u32| {
        let signing = KeyPair::generate(&mut rng);
        json!({
            "senderKeyId": id,
            "senderChainKey": {"iteration": 4, "seed": buffer(&[7; 32])},
            "senderSigningKey": {"public": buffer(&signing.public_key.serialize()), "private": buffer(&[])},
            "senderMessageKeys": [{"iteration": 2, "seed": buffer(&[8; 32])}],
        })
    };
    buffer(json!([state(1), state(2)]).to_string().as_bytes())
}

/// A folder as `useMultiFileAuthState` keeps it: one file of each kind.
pub fn folder() -> Vec<(&'static str, Vec<u8>)> {
    let pre_key = json!({"private": buffer(&[1; 32]), "public": buffer(&[2; 32])});
    let sync_key = json!({
        "keyData": BASE64_STANDARD.encode([3; 32]),
        "fingerprint": {"rawId": 5, "currentIndex": 1, "deviceIndexes": [0, 1]},
        "timestamp": "1700000000",
    });
    let files = [
        ("session/app-state-sync-key-AAAAAPq+.json", sync_key),
        ("session/app-state-sync-version-regular.json", json!({})),
        ("session/creds.json", creds()),
        ("session/device-list-15550100002.json", json!(["0"])),
        (
            "session/identity-key-15550100002.0.json",
            buffer(&[&[5][..], &[4; 32]].concat()),
        ),
        ("session/lid-mapping-15550100002.json", json!("100000000000002")),
        ("session/lid-mapping-100000000000002_reverse.json", json!("15550100002")),
        ("session/pre-key-1.json", pre_key),
        (
            "session/sender-key-120363000000000001@g.us--100000000000002_1--0.json",
            sender_key(),
        ),
        (
            "session/sender-key-memory-120363000000000001@g.us.json",
            json!({"15550100002@s.whatsapp.net": true}),
        ),
        ("session/session-100000000000002_1.0.json", conversation()),
        (
            "session/tctoken-100000000000002@lid.json",
            json!({"token": buffer(&[1, 2]), "timestamp": "1700000000"}),
        ),
    ];
    files
        .into_iter()
        .map(|(name, value)| (name, value.to_string().into_bytes()))
        .collect()
}
