use wharf_model::{Network, Timestamp};
use wharf_otp::TestNumbers;

use super::*;
use crate::server::NETWORK;

fn sources(variables: &[(&str, &str)]) -> Sources {
    Sources {
        environment: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Sources::default()
    }
}

fn with_file(text: &str) -> (tempfile::NamedTempFile, Sources) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let sources = Sources {
        file: Some(file.path().to_owned()),
        ..Sources::default()
    };
    (file, sources)
}

#[test]
fn the_manual_is_a_complete_and_sound_configuration() {
    assert!(MANUAL.parse::<Table>().is_ok());
    let settings = Settings::load(&Sources::default()).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8000");
}

#[test]
fn every_fault_is_told_at_once_with_its_path() {
    let text =
        "[server]\nlisten = \"nowhere\"\ndrain_deadline = 3\n[storage]\nreaders = 99\ncolour = \"red\"\n[colours]\n";
    let (_file, mut sources) = with_file(text);
    sources
        .environment
        .insert("WHARF_PACING__GAP_MAX".to_owned(), "soon".to_owned());
    sources.environment.insert("WHARF_NO__SUCH".to_owned(), "1".to_owned());
    let told = Settings::load(&sources).unwrap_err().to_string();
    for path in [
        "server.listen",
        "server.drain_deadline",
        "storage.readers",
        "storage.colour",
        "colours",
        "pacing.gap_max",
        "WHARF_NO__SUCH",
    ] {
        assert!(told.contains(path), "{path} is missing in:\n{told}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_options_over_both() {
    let (_file, mut sources) = with_file("[server]\nlisten = \"127.0.0.1:1111\"\n[storage]\ndir = \"from-file\"\n");
    sources
        .environment
        .insert("WHARF_STORAGE__DIR".to_owned(), "from-environment".to_owned());
    sources.port = Some(2222);
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:2222");
    assert_eq!(settings.dir, PathBuf::from("from-environment"));
}

#[test]
fn the_port_of_a_platform_opens_every_address_unless_an_address_is_given() {
    assert_eq!(
        Settings::load(&sources(&[("PORT", "5000")]))
            .unwrap()
            .listen
            .to_string(),
        "0.0.0.0:5000"
    );
    let given = sources(&[("PORT", "5000"), ("WHARF_SERVER__LISTEN", "127.0.0.1:7000")]);
    assert_eq!(Settings::load(&given).unwrap().listen.to_string(), "127.0.0.1:7000");
    assert!(
        Settings::load(&sources(&[("PORT", "many")]))
            .unwrap_err()
            .to_string()
            .contains("PORT")
    );
}

#[test]
fn a_secret_and_its_file_are_not_both_taken_and_neither_is_shown() {
    let both = sources(&[
        ("WHARF_STORAGE__MASTER_KEY", "aa"),
        ("WHARF_STORAGE__MASTER_KEY_FILE", "/none"),
    ]);
    let told = Settings::load(&both).unwrap_err().to_string();
    assert!(told.contains("master_key_file") && !told.contains("aa\n"), "{told}");
    let key = "11".repeat(32);
    let shown = Settings::load(&sources(&[("WHARF_STORAGE__MASTER_KEY", &key)]))
        .unwrap()
        .redacted();
    assert!(shown.contains("***") && !shown.contains(&key));
}

#[test]
fn a_limit_is_not_lifted_without_saying_so() {
    let told = Settings::load(&sources(&[("WHARF_PACING__PER_MINUTE", "0")]))
        .unwrap_err()
        .to_string();
    assert!(told.contains("unsafe_open"), "{told}");
}

/// OTP-18: what cannot be read is told without being shown; what lets people in has an end where people are served.
#[test]
fn otp_18_test_numbers_are_read_and_not_shown() {
    let given = |numbers: &str, until: &str| {
        sources(&[
            ("WHARF_OTP__TEST_NUMBERS", numbers),
            ("WHARF_OTP__TEST_NUMBERS_UNTIL", until),
        ])
    };
    let numbers = "+15550100001=123456, +15550100002=7654321";
    let settings = Settings::load(&given(numbers, "2027-01-01T00:00:00Z")).unwrap();
    let until = Timestamp::parse_rfc3339("2027-01-01T00:00:00Z").unwrap();
    let wanted = numbers.parse::<TestNumbers>().unwrap().until(Some(until));
    assert_eq!(settings.sections.otp.test_numbers, wanted);
    let shown = settings.redacted();
    assert!(shown.contains("***") && !shown.contains("123456"), "{shown}");

    for (numbers, until, setting) in [
        ("+15550100001=12345", "2027-01-01T00:00:00Z", "otp.test_numbers:"),
        ("+15550100001=12345a", "2027-01-01T00:00:00Z", "otp.test_numbers:"),
        ("nobody=4711471", "2027-01-01T00:00:00Z", "otp.test_numbers:"),
        (numbers, "tomorrow", "otp.test_numbers_until:"),
    ] {
        let told = Settings::load(&given(numbers, until)).unwrap_err().to_string();
        assert!(told.contains(setting) && !told.contains("4711471"), "{told}");
    }

    match (NETWORK, Settings::load(&given(numbers, ""))) {
        (Network::Live, refused) => {
            let told = refused.unwrap_err().to_string();
            assert!(told.contains("otp.test_numbers_until: must say until when"), "{told}");
        }
        (Network::Sandbox, taken) => {
            let wanted = numbers.parse::<TestNumbers>().unwrap();
            assert_eq!(taken.unwrap().sections.otp.test_numbers, wanted);
        }
    }
}
