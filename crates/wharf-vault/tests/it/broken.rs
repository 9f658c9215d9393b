use serde_json::{Value, json};
use wharf_vault::{Fetch, Level, VaultError, examine};

use crate::recipes::*;

/// The checks that fail when the credentials are changed like this.
fn faults(change: impl FnOnce(&mut Value)) -> Vec<&'static str> {
    let mut creds = creds();
    change(&mut creds);
    let report = examine(creds.to_string().as_bytes(), None).unwrap();
    assert!(!report.valid());
    report
        .checks()
        .iter()
        .filter(|check| !check.ok)
        .map(|check| check.name)
        .collect()
}

#[test]
fn each_missing_part_is_named() {
    for (field, check) in [
        ("noiseKey", "noise_key"),
        ("signedPreKey", "signed_pre_key"),
        ("registrationId", "registration_id"),
        ("account", "account"),
        ("me", "owner"),
    ] {
        assert_eq!(faults(|creds| creds[field] = Value::Null), [check]);
    }
    assert_eq!(
        faults(|creds| creds["me"]["id"] = json!("100000000000001:12@lid")),
        ["owner"]
    );
    assert_eq!(
        faults(|creds| creds["noiseKey"]["private"] = buffer(&[1; 31])),
        ["noise_key"]
    );
}

#[test]
fn what_was_never_linked_stays_at_structure() {
    let mut creds = creds();
    creds["me"] = Value::Null;
    creds["account"] = Value::Null;
    let report = examine(creds.to_string().as_bytes(), None).unwrap();
    assert_eq!(report.level(), Level::Structure);
    assert_eq!(report.fingerprint(), None);
    assert_eq!(report.checks().iter().filter(|check| !check.ok).count(), 2);
}

#[test]
fn swapped_keys_and_signatures_are_found() {
    assert_eq!(
        faults(|creds| creds["noiseKey"]["public"] = buffer(&[1; 32])),
        ["noise_key_pair"]
    );
    assert_eq!(
        faults(|creds| creds["signedPreKey"]["signature"] = buffer(&[1; 64])),
        ["signed_pre_key_signature"]
    );
    assert_eq!(
        faults(|creds| creds["account"]["deviceSignature"] = buffer(&[1; 64])),
        ["device_signature"]
    );
    assert_eq!(
        faults(|creds| {
            let noise = creds["noiseKey"].clone();
            creds["signedIdentityKey"] = noise;
        }),
        ["signed_pre_key_signature", "account_signature", "device_signature"]
    );
    assert_eq!(
        faults(|creds| creds["account"]["details"] = json!(base64(b"another device"))),
        ["account_signature", "device_signature"]
    );
}

#[test]
fn what_is_cut_off_or_foreign_is_named() {
    let string = base64(gzip(creds().to_string()));
    let cut = &string[..string.len() / 2];
    let json = creds().to_string();
    for (data, error) in [
        (String::new(), VaultError::Empty),
        (" \n ".to_owned(), VaultError::Empty),
        (format!("X~{cut}"), VaultError::Damaged("compressed part")),
        (
            format!("X~{}*{}", &string[..40], &string[40..]),
            VaultError::Damaged("session string"),
        ),
        (json[..json.len() / 2].to_owned(), VaultError::Damaged("JSON")),
        ("{\"a\": 1}".to_owned(), VaultError::Unrecognised),
        ("hello".to_owned(), VaultError::Unrecognised),
        ("[1, 2]".to_owned(), VaultError::Unrecognised),
        (
            format!("KHAN-MD~aB3dEf6h#{}", "k".repeat(43)),
            VaultError::Elsewhere(Fetch::Mega),
        ),
        (
            "https://mega.nz/file/aB3dEf6h#".to_owned() + &"k".repeat(43),
            VaultError::Elsewhere(Fetch::Mega),
        ),
        ("Gifted~a1b2c3d4e5f6".to_owned(), VaultError::Elsewhere(Fetch::Id)),
        // Ids are of any characters: these begin, or go on behind an underscore, like base64 of JSON.
        (
            "BRAND~eyJpZCI6MTIzNDU2Nzg5MD".to_owned(),
            VaultError::Elsewhere(Fetch::Id),
        ),
        (
            "BRAND~aB3_eyJpZCI6MTIzNDU2Nz".to_owned(),
            VaultError::Elsewhere(Fetch::Id),
        ),
        (
            "BRAND~e0a1b2c3d4e5f60718293a4b".to_owned(),
            VaultError::Elsewhere(Fetch::Id),
        ),
        (format!("BRAND~ey{}", "J".repeat(62)), VaultError::Elsewhere(Fetch::Id)),
        (
            format!("BRAND~eyJdEf6h#{}", "k".repeat(43)),
            VaultError::Elsewhere(Fetch::Mega),
        ),
        (
            format!("BRAND~aB3dEf6h#k_eyJ{}", "k".repeat(38)),
            VaultError::Elsewhere(Fetch::Mega),
        ),
        // One character more is no id, and a text that begins like base64 of JSON is one that was cut off.
        (
            format!("BRAND~ey{}", "J".repeat(63)),
            VaultError::Damaged("session string"),
        ),
    ] {
        assert_eq!(examine(data.as_bytes(), None).unwrap_err(), error, "{data}");
    }
}

#[test]
fn broken_archives_are_named() {
    let (zipped, tarred) = (zip(folder()), tar(folder()));
    for (data, error) in [
        (zipped[..zipped.len() / 2].to_vec(), VaultError::Damaged("zip archive")),
        (tarred[..700].to_vec(), VaultError::Damaged("tar archive")),
        (zip([("notes.txt", b"hello".to_vec())]), VaultError::NoCreds),
        (tar([("notes.txt", b"hello".to_vec())]), VaultError::NoCreds),
        (
            zip([("creds.json", b"no JSON".to_vec())]),
            VaultError::Damaged("creds.json"),
        ),
    ] {
        assert_eq!(examine(&data, None).unwrap_err(), error);
    }
}
