use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use wacore_libsignal::protocol::{self as signal, SessionRecord};
use wharf_model::{Jid, JidServer};
use wharf_vault::{
    Address, ContactToken, Format, Identity, KeyPair, Keys, LidMapping, Portable, PreKey, SyncKey, examine, export,
};

use crate::recipes::*;

fn jid(user: &str, server: JidServer) -> Jid {
    Jid::new(user, server).unwrap()
}

/// One of each kind that needs no conversation.
fn keys() -> Keys {
    let pair = |byte: u8| KeyPair {
        private: [byte; 32].into(),
        public: [byte + 1; 32],
    };
    Keys {
        pre_keys: vec![PreKey { id: 7, pair: pair(1) }, PreKey { id: 8, pair: pair(3) }],
        identities: vec![
            Identity {
                of: Address {
                    jid: jid("15550100002", JidServer::Phone),
                    device: 0,
                },
                key: [9; 32],
            },
            Identity {
                of: Address {
                    jid: jid("100000000000002", JidServer::Lid),
                    device: 12,
                },
                key: [10; 32],
            },
        ],
        sync_keys: vec![SyncKey {
            id: vec![0, 0, 255, 62, 63, 1],
            key: vec![4; 32].into(),
            // rawId 5, currentIndex 1, deviceIndexes [0, 1]
            fingerprint: vec![8, 5, 16, 1, 26, 2, 0, 1],
            made_at: 1_700_000_000,
        }],
        lid_mappings: vec![LidMapping {
            phone: jid("15550100002", JidServer::Phone),
            lid: jid("100000000000002", JidServer::Lid),
        }],
        contact_tokens: vec![ContactToken {
            of: jid("100000000000002", JidServer::Lid),
            token: vec![1, 2, 3].into(),
            given_at: 1_700_000_001,
        }],
        ..Keys::default()
    }
}

pub fn portable() -> Portable {
    let report = examine(creds().to_string().as_bytes(), None).unwrap();
    Portable::new(report.into_portable().unwrap().credentials, keys())
}

#[test]
fn a_folder_that_goes_out_comes_back_as_it_was() {
    let (out, whole) = (portable(), keys());
    let folder = export::baileys_folder(&out).unwrap();
    assert_eq!(folder.left_behind, 0);
    let report = examine(&folder.zip, None).unwrap();
    assert_eq!(report.format(), Format::BaileysFolder);
    let back = report.into_portable().unwrap();
    assert_eq!(back.fingerprint(), out.fingerprint());
    assert!(back.credentials == out.credentials);
    assert_eq!(sorted(back.keys), sorted(whole));
}

fn sorted(mut keys: Keys) -> Keys {
    keys.pre_keys.sort_by_key(|key| key.id);
    keys.identities.sort_by_key(|identity| identity.key);
    keys
}

#[test]
fn a_session_string_that_goes_out_is_read_back() {
    let string = export::session_string(&portable(), "BRAND~").unwrap();
    assert!(string.starts_with("BRAND~H4sI"));
    let back = examine(string.as_bytes(), None).unwrap().into_portable().unwrap();
    assert!(back.credentials == portable().credentials);
    assert_eq!(back.keys, Keys::default());
}

#[test]
fn keys_are_found_in_every_wrapper() {
    let pre_key = json!({"private": buffer(&[1; 32]), "public": buffer(&[2; 32])});
    for wrapped in [
        json!({"creds": creds(), "keys": {"pre-key": {"7": pre_key}}}),
        json!({"creds": creds(), "keys": {"preKeys": {"7": pre_key}}}),
        json!({"creds": creds(), "keys": {"pre-key-7": pre_key}}),
        json!({"creds.json": creds(), "pre-key-7.json": pre_key}),
        json!({"creds.json": creds().to_string(), "pre-key-7.json": pre_key.to_string()}),
        json!({"auth/creds.json": creds(), "auth/pre-key-7.json": pre_key}),
    ] {
        let report = examine(wrapped.to_string().as_bytes(), None).unwrap();
        assert_eq!(report.keys().pre_keys.len(), 1, "{wrapped:.100}");
        assert_eq!(report.keys().unreadable, 0, "{wrapped:.100}");
    }
}

#[test]
fn keys_of_another_folder_stay_behind() {
    let key = json!({"private": buffer(&[1; 32]), "public": buffer(&[2; 32])});
    let key = || key.to_string().into_bytes();
    let creds = || creds().to_string().into_bytes();
    let files = [
        ("one/pre-key-1.json", key()),
        ("one/creds.json", creds()),
        ("two/pre-key-2.json", key()),
        ("two/creds.json", creds()),
    ];
    let object = |value: &[u8]| serde_json::from_slice::<Value>(value).unwrap();
    // In its order, which a map of values would lose.
    let entries = files
        .iter()
        .map(|(name, value)| format!("{:?}: {}", name, object(value)));
    let object = format!("{{{}}}", entries.collect::<Vec<_>>().join(", ")).into_bytes();
    for archive in [zip(files.clone()), tar(files.clone()), object] {
        let report = examine(&archive, None).unwrap();
        let ids: Vec<_> = report.keys().pre_keys.iter().map(|key| key.id).collect();
        assert_eq!(ids, [1]);
    }
}

#[test]
fn a_whole_folder_comes_along() {
    for archive in [zip(folder()), tar(folder())] {
        let report = examine(&archive, None).unwrap();
        let keys = report.keys();
        let counts = [
            keys.pre_keys.len(),
            keys.sessions.len(),
            keys.sender_keys.len(),
            keys.identities.len(),
            keys.sync_keys.len(),
            keys.lid_mappings.len(),
            keys.contact_tokens.len(),
        ];
        assert_eq!((counts, keys.unreadable), ([1; 7], 0));
        assert_eq!(keys.identities[0].key, [4; 32]);
        assert_eq!(keys.sync_keys[0].id, [0, 0, 0, 0, 250, 190]);
        let with = &keys.sessions[0].with;
        assert_eq!((with.jid.to_string().as_str(), with.device), ("100000000000002@lid", 0));
    }
}

/// Ratchets, chains, passed-over messages and ended conversations: nothing is lost on the way out and back.
#[test]
fn a_conversation_that_goes_out_comes_back_as_it_was() {
    let portable = examine(&zip(folder()), None).unwrap().into_portable().unwrap();
    let once = export::baileys_folder(&portable).unwrap();
    assert_eq!(once.left_behind, 0);
    let back = examine(&once.zip, None).unwrap().into_portable().unwrap();
    assert_eq!(back.keys.sessions, portable.keys.sessions);
    assert_eq!(back.keys.sender_keys, portable.keys.sender_keys);
}

/// The text of a conversation with so many receiving chains, in order; one of them has passed-over messages.
fn conversation_of(chains: usize, late_in: usize, late: &Value) -> String {
    let mut rng = StdRng::seed_from_u64(4);
    let mut key = || base64(signal::KeyPair::generate(&mut rng).public_key.serialize());
    let names: Vec<String> = (0..chains).map(|_| key()).collect();
    let written = names.iter().enumerate().map(|(place, name)| {
        let keys = if place == late_in { late.clone() } else { json!({}) };
        let mut chain = json!({"chainKey": {"counter": 2}, "chainType": 2, "messageKeys": keys});
        if place + 1 == chains {
            chain["chainKey"]["key"] = base64([8; 32]).into();
        }
        format!("{name:?}: {chain}")
    });
    let mut written: Vec<_> = written.collect();
    let mut file = conversation();
    let sessions = file["_sessions"].as_object_mut().unwrap();
    sessions.retain(|_, entry| entry["indexInfo"]["closed"] == -1);
    let entry = sessions.values_mut().next().unwrap();
    let sending = json!({"chainKey": {"counter": 0, "key": base64([10; 32])}, "chainType": 1, "messageKeys": {}});
    written.push(format!(
        "{}: {sending}",
        entry["currentRatchet"]["ephemeralKeyPair"]["pubKey"]
    ));
    let written = written.join(", ");
    entry["currentRatchet"]["lastRemoteEphemeralKey"] = names[chains - 1].as_str().into();
    entry["_chains"] = json!("CHAINS");
    file.to_string().replace("\"CHAINS\"", &format!("{{{written}}}"))
}

/// The newest chains are kept, and the JavaScript has them last: seven chains, and the key of a late message in the last
/// but one.
#[test]
fn of_many_chains_the_newest_go_along() {
    let late = json!({"1": base64([9; 32])});
    let file = conversation_of(7, 5, &late);
    let object = format!(
        "{{\"creds.json\": {}, \"session-15550100002.0.json\": {file}}}",
        creds()
    );
    let portable = examine(object.as_bytes(), None).unwrap().into_portable().unwrap();
    assert_eq!((portable.keys.sessions.len(), portable.keys.unreadable), (1, 0));
    let record = SessionRecord::deserialize(&portable.keys.sessions[0].record).unwrap();
    let session = record.into_components().unwrap().current_session.unwrap();
    let with_a_late_key = session
        .receiver_chains
        .iter()
        .filter(|chain| !chain.message_keys.is_empty());
    assert_eq!(with_a_late_key.count(), 1);
}

/// One bad key costs itself and nothing else.
#[test]
fn what_cannot_be_read_is_counted() {
    let session = |change: fn(&mut Value)| {
        let mut record = json!({"_sessions": {"BQ==": {"registrationId": 1}}, "version": "v1"});
        change(&mut record);
        record
    };
    let files = json!({
        "creds.json": creds(),
        "pre-key-1.json": {"private": buffer(&[1; 31]), "public": buffer(&[2; 32])},
        "pre-key-x.json": {"private": buffer(&[1; 32]), "public": buffer(&[2; 32])},
        "session-15550100003.0.json": session(|_| {}),
        "session-15550100004.0.json": conversation()["_sessions"],
        "session-2.json": session(|_| {}),
        "session-3_9.0.json": session(|_| {}),
        "identity-key-15550100002.0.json": buffer(&[5; 12]),
        "lid-mapping-15550100002.json": 5,
        "pre-key-16777216.json": {"private": buffer(&[1; 32]), "public": buffer(&[2; 32])},
        "tctoken-__index.json": ["nobody"],
        "tctoken-nobody.json": {"token": buffer(&[1]), "timestamp": "1"},
    });
    let report = examine(files.to_string().as_bytes(), None).unwrap();
    assert!(report.valid(), "the credentials themselves are whole");
    assert_eq!(report.keys().unreadable, 10, "{:?}", report.keys());
    let empty = json!({
        "creds.json": creds(),
        "session-15550100002.0.json": session(|record| record["_sessions"] = json!({})),
        "pre-key-1.json": null,
    });
    let report = examine(empty.to_string().as_bytes(), None).unwrap();
    assert_eq!(*report.keys(), Keys::default(), "nothing there, nothing lost");
}

#[test]
fn credentials_with_a_fault_are_not_taken_along() {
    let mut creds = creds();
    creds["signedPreKey"]["signature"] = buffer(&[1; 64]);
    let report = examine(creds.to_string().as_bytes(), None).unwrap();
    let report = report.into_portable().unwrap_err();
    assert!(report.credentials().is_some() && !report.valid());
}
