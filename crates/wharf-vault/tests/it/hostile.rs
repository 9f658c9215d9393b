use proptest::prelude::*;
use wharf_vault::{MAX_INPUT, VaultError, examine};

use crate::recipes::*;

#[test]
fn bombs_are_put_down() {
    let bomb = gzip(vec![b' '; 64 * 1024 * 1024]);
    assert_eq!(examine(&bomb, None).unwrap_err(), VaultError::UnpacksTooLarge);
    assert_eq!(
        examine(base64(&bomb).as_bytes(), None).unwrap_err(),
        VaultError::UnpacksTooLarge
    );
    let bomb = zip([("creds.json", vec![b' '; 64 * 1024 * 1024])]);
    assert_eq!(examine(&bomb, None).unwrap_err(), VaultError::UnpacksTooLarge);
    let nested = (0..20).fold(creds().to_string().into_bytes(), |inner, _| gzip(inner));
    assert_eq!(examine(&nested, None).unwrap_err(), VaultError::Unrecognised);
    assert_eq!(
        examine(&vec![b'A'; MAX_INPUT + 1], None).unwrap_err(),
        VaultError::TooLarge
    );
    let huge = format!("{{\"noiseKey\": \"{}\"}}", "A".repeat(1024 * 1024));
    assert_eq!(examine(huge.as_bytes(), None).unwrap_err(), VaultError::UnpacksTooLarge);
    let many: Vec<String> = (0..20_001).map(|number| format!("pre-key-{number}.json")).collect();
    let many = many.iter().map(|name| (name.as_str(), Vec::new()));
    assert_eq!(examine(&zip(many), None).unwrap_err(), VaultError::TooManyFiles);
}

/// The end says that another record, which stands before it, knows how many entries there are.
#[test]
fn a_count_beyond_16_bits_is_refused() {
    let whole = zip(folder());
    let end = whole.len() - 22;
    assert_eq!(whole[end..end + 4], *b"PK\x05\x06");
    let record = [
        &b"PK\x06\x06"[..],
        &44u64.to_le_bytes(),
        &[0; 12],
        &[0xff; 4],
        &[0; 4],
        &[0xff; 4],
        &[0; 20],
    ]
    .concat();
    let place = u64::try_from(end).unwrap().to_le_bytes();
    let locator = [&b"PK\x06\x07"[..], &[0; 4], &place, &1u32.to_le_bytes()].concat();
    let mut huge = [&whole[..end], &record, &locator, &whole[end..]].concat();
    let offset = huge.len() - 22 + 16;
    huge[offset..offset + 4].fill(0xff);
    assert_eq!(examine(&huge, None).unwrap_err(), VaultError::TooManyFiles);
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in ["../creds.json", "a/../../creds.json", "/creds.json", "..\\creds.json"] {
        let file = || [(name, creds().to_string().into_bytes())];
        assert_eq!(
            examine(&zip(file()), None).unwrap_err(),
            VaultError::UnsafePath,
            "{name}"
        );
        assert_eq!(
            examine(&tar(file()), None).unwrap_err(),
            VaultError::UnsafePath,
            "{name}"
        );
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{{\"noiseKey\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(examine(deep.as_bytes(), None), Err(VaultError::Damaged(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = examine(&data, None);
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic(place in any::<prop::sample::Index>(), byte in any::<u8>(), form in 0..4) {
        let mut data = match form {
            0 => creds().to_string().into_bytes(),
            1 => format!("X~{}", base64(gzip(creds().to_string()))).into_bytes(),
            2 => zip(folder()),
            _ => tar(folder()),
        };
        let place = place.index(data.len());
        data[place] = byte;
        let _ = examine(&data, None);
    }
}
