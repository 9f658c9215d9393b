use serde_json::{Value, json};
use wharf_vault::{Format, Layer, Level, examine};

use crate::recipes::*;

fn found(data: impl AsRef<[u8]>) -> (Format, Vec<Layer>) {
    let report = examine(data.as_ref(), None).unwrap();
    let failed: Vec<_> = report.checks().iter().filter(|check| !check.ok).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(report.valid());
    assert_eq!(report.level(), Level::Mathematics);
    let owner = &report.credentials().unwrap().owner;
    assert_eq!((owner.phone.user(), owner.device), (NUMBER, 12));
    (report.format(), report.layers().to_vec())
}

#[test]
fn creds_json_is_read_as_it_is() {
    assert_eq!(found(creds().to_string()), (Format::BaileysCreds, vec![]));
    let marked = format!("\u{feff}{:#}\n", creds());
    assert_eq!(found(marked), (Format::BaileysCreds, vec![]));
}

#[test]
fn session_strings_are_known_by_content_whatever_their_brand() {
    let creds = creds().to_string();
    let packed = [Layer::Prefix, Layer::Base64, Layer::Gzip];
    for brand in [
        "Gifted~",
        "Silva~",
        "SESSION_12_34_56_78_",
        "Secktor;;;",
        "GAMER~XMD~",
        "ISSA:~",
    ] {
        let string = format!("{brand}{}", base64(gzip(&creds)));
        assert_eq!(found(string), (Format::BaileysCreds, packed.to_vec()), "{brand}");
        let string = format!("{brand}{}", base64(&creds));
        assert_eq!(found(string), (Format::BaileysCreds, packed[..2].to_vec()), "{brand}");
    }
    assert_eq!(found(base64(&creds)), (Format::BaileysCreds, vec![Layer::Base64]));
}

#[test]
fn strings_survive_how_people_copy_them() {
    let string = base64(gzip(creds().to_string()));
    let url_safe = string.replace('+', "-").replace('/', "_");
    let unpadded = url_safe.trim_end_matches('=');
    let lines: Vec<String> = string
        .as_bytes()
        .chunks(70)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    for copied in [
        format!("X~{unpadded}"),
        format!("  X~{string}...\n"),
        format!("X~{}", lines.join("\r\n")),
    ] {
        found(copied);
    }
}

#[test]
fn wrappers_are_taken_off() {
    let with_keys = json!({"creds": creds(), "keys": {"pre-key": {"1": null}}}).to_string();
    let layers = vec![Layer::Prefix, Layer::Base64, Layer::Json];
    assert_eq!(
        found(format!("TREND-XMD~{}", base64(with_keys))),
        (Format::BaileysFolder, layers)
    );
    for creds_file in [creds(), Value::String(creds().to_string())] {
        let files = json!({"pre-key-1.json": {}, "creds.json": creds_file}).to_string();
        let layers = vec![Layer::Base64, Layer::Json];
        assert_eq!(found(base64(files)), (Format::BaileysFolder, layers));
    }
}

#[test]
fn folders_come_as_archives() {
    assert_eq!(found(zip(folder())), (Format::BaileysFolder, vec![Layer::Zip]));
    assert_eq!(found(tar(folder())), (Format::BaileysFolder, vec![Layer::Tar]));
    assert_eq!(
        found(gzip(tar(folder()))),
        (Format::BaileysFolder, vec![Layer::Gzip, Layer::Tar])
    );
    assert_eq!(
        found(base64(zip(folder()))),
        (Format::BaileysFolder, vec![Layer::Base64, Layer::Zip])
    );
}

#[test]
fn a_fingerprint_tells_links_apart_and_stays_the_same() {
    let bare = examine(creds().to_string().as_bytes(), None)
        .unwrap()
        .fingerprint()
        .unwrap();
    let packed = examine(&zip(folder()), None).unwrap().fingerprint().unwrap();
    assert_eq!(bare, packed);
    assert_eq!(bare.len(), 32);
    let mut other = creds();
    other["signedIdentityKey"] = other["noiseKey"].clone();
    assert_ne!(
        examine(other.to_string().as_bytes(), None)
            .unwrap()
            .fingerprint()
            .unwrap(),
        bare
    );
}

#[test]
fn nothing_secret_is_in_what_logs_show() {
    let report = examine(creds().to_string().as_bytes(), None).unwrap();
    let shown = format!("{report:?}");
    assert!(!shown.contains(NUMBER) && !shown.contains("private"), "{shown}");
}
