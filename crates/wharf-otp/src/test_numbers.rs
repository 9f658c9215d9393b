//! Numbers whose codes are known beforehand, so that an application can be tested without a phone (OTP-18). Nothing is sent to
//! them.

use std::fmt;
use std::str::FromStr;

use wharf_model::{Phone, Timestamp};

use crate::config::OtpConfig;

/// Phones with the codes that prove them, and until when they do.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TestNumbers {
    codes: Vec<(Phone, String)>,
    until: Option<Timestamp>,
}

/// A text that names no test numbers. It says nothing of them: whoever knows a code is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not numbers and their codes, each number once: expected such as +15550100001=123456")]
pub struct TestNumbersError;

impl TestNumbers {
    /// The same until a moment; from then on they are numbers like others. `None`: for ever.
    #[must_use]
    pub fn until(self, until: Option<Timestamp>) -> Self {
        Self { until, ..self }
    }

    /// Whether there are some that are so for ever.
    pub(crate) fn never_end(&self) -> bool {
        !self.codes.is_empty() && self.until.is_none()
    }

    /// The earlier of a moment and their end: no known code is worth anything later.
    pub(crate) fn at_most(&self, at: Timestamp) -> Timestamp {
        self.until.map_or(at, |until| at.min(until))
    }

    /// The code of a phone, if it is a test number now.
    pub(crate) fn code_of(&self, phone: &Phone, now: Timestamp) -> Option<&str> {
        if self.until.is_some_and(|until| until <= now) {
            return None;
        }
        let found = self.codes.iter().find(|(number, _)| number == phone);
        found.map(|(_, code)| code.as_str())
    }
}

impl FromStr for TestNumbers {
    type Err = TestNumbersError;

    /// Takes pairs between commas, such as `+15550100001=123456`.
    fn from_str(text: &str) -> Result<Self, TestNumbersError> {
        let mut codes: Vec<(Phone, String)> = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (phone, code) = pair.split_once('=').ok_or(TestNumbersError)?;
            let (phone, code) = (phone.parse::<Phone>().map_err(|_| TestNumbersError)?, code.trim());
            if !is_code(code) || codes.iter().any(|(known, _)| *known == phone) {
                return Err(TestNumbersError);
            }
            codes.push((phone, code.to_owned()));
        }
        Ok(Self { codes, until: None })
    }
}

/// As long as any other code.
fn is_code(text: &str) -> bool {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    OtpConfig::LENGTHS.contains(&length) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Logs are written with `Debug`: codes that let people in must not reach them.
impl fmt::Debug for TestNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestNumbers")
            .field("count", &self.codes.len())
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(text: &str) -> Phone {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_are_read_with_their_codes() {
        let numbers: TestNumbers = "+15550100001=123456, +49 151 12345678 = 0042170042,".parse().unwrap();
        let now = Timestamp::from_secs(1_700_000_000);
        assert_eq!(numbers.code_of(&phone("+15550100001"), now), Some("123456"));
        assert_eq!(numbers.code_of(&phone("+4915112345678"), now), Some("0042170042"));
        assert_eq!(numbers.code_of(&phone("+15550100002"), now), None);
        assert_eq!("".parse(), Ok(TestNumbers::default()));
        assert!(!format!("{numbers:?}").contains("1234"), "{numbers:?}");
        for wrong in [
            "+15550100001",
            "+15550100001=",
            "+15550100001=12345",
            "+15550100001=12345678901",
            "+15550100001=12345a",
            "+15550100001=١٢٣٤٥٦",
            "nobody=123456",
            "+15550100001=123456;+15550100002=123456",
            "+15550100001=123456,+15550100001=654321",
        ] {
            assert_eq!(wrong.parse::<TestNumbers>(), Err(TestNumbersError), "{wrong}");
        }
    }

    #[test]
    fn a_test_number_ends_to_the_moment() {
        let numbers: TestNumbers = "+15550100001=123456".parse().unwrap();
        let end = Timestamp::from_secs(1_700_000_000);
        assert!(numbers.never_end());
        let numbers = numbers.until(Some(end));
        assert!(!numbers.never_end() && !TestNumbers::default().never_end());
        let phone = phone("+15550100001");
        let before = Timestamp::from_millis(end.as_millis() - 1);
        assert_eq!(numbers.code_of(&phone, before), Some("123456"));
        assert_eq!(numbers.code_of(&phone, end), None);
        let after = Timestamp::from_millis(end.as_millis() + 1);
        assert_eq!([before, end, after].map(|at| numbers.at_most(at)), [before, end, end]);
        assert_eq!(TestNumbers::default().at_most(after), after);
    }
}
