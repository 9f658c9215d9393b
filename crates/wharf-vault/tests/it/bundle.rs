//! Wharf's own form: what goes in comes out, and nothing else opens it.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use wharf_model::{Random, SystemEdges};
use wharf_vault::{Format, Layer, Portable, VaultError, examine, export};

use crate::keys::portable;

const PASSPHRASE: &str = "twelve or more characters";
const BRAND: &str = "WHARF-BUNDLE~";

/// Where the parts of a bundle begin.
const VERSION: usize = 8;
const SALT: usize = 9;
const NONCE: usize = 25;
const FINGERPRINT: usize = 49;
const EPOCH: usize = 65;
const SEALED: usize = 73;

fn bundle(portable: &Portable) -> String {
    export::bundle(portable, PASSPHRASE, &SystemEdges).unwrap().to_string()
}

fn bytes(bundle: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(bundle.strip_prefix(BRAND).unwrap()).unwrap()
}

fn opened(bytes: &[u8], passphrase: Option<&str>) -> Result<Portable, VaultError> {
    let text = format!("{BRAND}{}", BASE64_STANDARD.encode(bytes));
    let report = examine(text.as_bytes(), passphrase)?;
    assert_eq!(report.format(), Format::Bundle);
    assert_eq!(report.layers(), [Layer::Prefix, Layer::Base64]);
    Ok(report.into_portable().unwrap())
}

#[test]
fn what_went_in_comes_out() {
    let portable = portable().with_epoch(7);
    let text = bundle(&portable);
    let back = opened(&bytes(&text), Some(PASSPHRASE)).unwrap();
    assert!(back.credentials == portable.credentials && back.keys == portable.keys);
    assert_eq!((back.fingerprint(), back.epoch), (portable.fingerprint(), 7));
    assert_ne!(text, bundle(&portable), "a salt or a nonce was used twice");
    // Copied from a mail, without the brand.
    let bare = BASE64_STANDARD.encode(bytes(&text));
    assert!(
        examine(format!(" {bare}\n").as_bytes(), Some(PASSPHRASE))
            .unwrap()
            .valid()
    );
}

#[test]
fn the_header_tells_which_device_it_is_and_nothing_of_the_account() {
    let portable = portable().with_epoch(7);
    let bytes = bytes(&bundle(&portable));
    assert_eq!(&bytes[..VERSION], b"WHARFBDL");
    assert_eq!(bytes[VERSION], 1);
    let fingerprint: String = bytes[FINGERPRINT..EPOCH]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(fingerprint, portable.fingerprint());
    assert_eq!(bytes[EPOCH..SEALED], 7_i64.to_be_bytes());
    let number = portable.credentials.owner.phone.user().as_bytes();
    assert!(!bytes.windows(number.len()).any(|window| window == number));
}

#[test]
fn nothing_else_opens_it() {
    let good = bytes(&bundle(&portable()));
    assert_eq!(opened(&good, None).unwrap_err(), VaultError::PassphraseMissing);
    assert_eq!(
        opened(&good, Some("another one")).unwrap_err(),
        VaultError::PassphraseWrong
    );
    for place in [SALT, NONCE, FINGERPRINT, EPOCH, SEALED, good.len() - 1] {
        let mut changed = good.clone();
        changed[place] ^= 1;
        assert_eq!(
            opened(&changed, Some(PASSPHRASE)).unwrap_err(),
            VaultError::PassphraseWrong,
            "byte {place}"
        );
    }
    let mut newer = good.clone();
    newer[VERSION] = 2;
    assert_eq!(
        opened(&newer, Some(PASSPHRASE)).unwrap_err(),
        VaultError::BundleNewer(2)
    );
    for length in [8, VERSION + 1, SALT + 3, SEALED - 1] {
        let cut = opened(&good[..length], Some(PASSPHRASE)).unwrap_err();
        assert!(matches!(cut, VaultError::Damaged("bundle")), "{length}: {cut}");
    }
    for length in [SEALED, SEALED + 15, good.len() - 1] {
        let cut = opened(&good[..length], Some(PASSPHRASE)).unwrap_err();
        assert_eq!(cut, VaultError::PassphraseWrong, "{length}");
    }
}

/// Whoever knows a passphrase can write what he likes under it. Numbers that others count on from there are bounded.
#[test]
fn numbers_that_nothing_comes_after_are_refused() {
    let last = |change: fn(&mut Portable)| {
        let mut portable = portable();
        change(&mut portable);
        opened(&bytes(&bundle(&portable)), Some(PASSPHRASE)).map(drop)
    };
    assert_eq!(last(|portable| portable.epoch = 1 << 53), Ok(()));
    for change in [
        (|portable| portable.epoch = i64::MAX) as fn(&mut Portable),
        |portable| portable.epoch = -1,
        |portable| portable.credentials.next_pre_key_id = u32::MAX,
        |portable| portable.keys.pre_keys[0].id = u32::MAX,
    ] {
        assert_eq!(last(change), Err(VaultError::Damaged("bundle")));
    }
}

/// Bytes that are the same in every run.
#[derive(Debug)]
struct Fixed;

impl Random for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        for (place, byte) in buffer.iter_mut().enumerate() {
            *byte = u8::try_from(place % 251).unwrap();
        }
    }
}

/// A bundle of the first release: later ones still read it, and write the same as long as the version is 1.
#[test]
fn a_bundle_of_version_1_stays_as_it_is() {
    let text = export::bundle(&portable(), PASSPHRASE, &Fixed).unwrap();
    insta::assert_snapshot!(&**text);
}
