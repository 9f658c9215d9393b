use proptest::prelude::*;
use wharf_vault::{MAX_INPUT, VaultError, examine};

use crate::recipes::*;

#[test]
fn bombs_are_put_down() {
    let bomb = gzip(vec![b' '; 64 * 1024 * 1024]);
    assert_eq!(examine(&bomb).unwrap_err(), VaultError::UnpacksTooLarge);
    assert_eq!(
        examine(base64(&bomb).as_bytes()).unwrap_err(),
        VaultError::UnpacksTooLarge
    );
    let bomb = zip([("creds.json", vec![b' '; 64 * 1024 * 1024])]);
    assert_eq!(examine(&bomb).unwrap_err(), VaultError::UnpacksTooLarge);
    let nested = (0..20).fold(creds().to_string().into_bytes(), |inner, _| gzip(inner));
    assert_eq!(examine(&nested).unwrap_err(), VaultError::Unrecognised);
    assert_eq!(examine(&vec![b'A'; MAX_INPUT + 1]).unwrap_err(), VaultError::TooLarge);
    let huge = format!("{{\"noiseKey\": \"{}\"}}", "A".repeat(1024 * 1024));
    assert_eq!(examine(huge.as_bytes()).unwrap_err(), VaultError::UnpacksTooLarge);
    let many: Vec<String> = (0..20_001).map(|number| format!("pre-key-{number}.json")).collect();
    let many = many.iter().map(|name| (name.as_str(), Vec::new()));
    assert_eq!(examine(&zip(many)).unwrap_err(), VaultError::TooManyFiles);
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in ["../creds.json", "a/../../creds.json", "/creds.json", "..\\creds.json"] {
        let file = || [(name, creds().to_string().into_bytes())];
        assert_eq!(examine(&zip(file())).unwrap_err(), VaultError::UnsafePath, "{name}");
        assert_eq!(examine(&tar(file())).unwrap_err(), VaultError::UnsafePath, "{name}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{{\"noiseKey\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(examine(deep.as_bytes()), Err(VaultError::Damaged(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = examine(&data);
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
        let _ = examine(&data);
    }
}
