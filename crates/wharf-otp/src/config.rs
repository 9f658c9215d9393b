//! What verifications need to know before they start. The server maps its configuration to this.

use std::time::Duration;

use wharf_model::Network;

use crate::country::Countries;
use crate::template;
use crate::test_numbers::TestNumbers;

/// At most `most` sends in `window`; 0 means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub most: u32,
    /// In how long.
    pub window: Duration,
}

impl Rate {
    /// At most so many an hour.
    pub const fn hourly(most: u32) -> Self {
        Self {
            most,
            window: Duration::from_secs(60 * 60),
        }
    }

    /// At most so many in 24 hours.
    pub const fn daily(most: u32) -> Self {
        Self {
            most,
            window: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Settings of verifications.
#[derive(Clone, Debug)]
pub struct OtpConfig {
    /// Digits of a code where the caller says nothing (OTP-1).
    pub length: u8,
    /// How long a code can be checked where the caller says nothing (OTP-2).
    pub ttl: Duration,
    /// How many codes may be tried (OTP-6).
    pub max_attempts: u32,
    /// How many messages one verification may send (OTP-6).
    pub max_sends: u32,
    /// How long until the second message may be asked for; each further wait is twice as long (OTP-6).
    pub cooldown: Duration,
    /// How long a verification can be read after it was made (OTP-10).
    pub retention: Duration,
    /// After how long without a delivery receipt `otp.undelivered` is told (OTP-17).
    pub undelivered_after: Duration,
    /// Sends to one phone in an hour (OTP-13, as the next four).
    pub per_phone: Rate,
    /// Sends to one phone in a day.
    pub per_phone_daily: Rate,
    /// Sends to phones that differ in their last four digits only.
    pub per_prefix: Rate,
    /// Sends for one address of an end user, where the caller names it.
    pub per_client: Rate,
    /// Sends with one API key.
    pub per_key: Rate,
    /// Sends through one session.
    pub per_session: Rate,
    /// Where codes may go.
    pub countries: Countries,
    /// After so many codes to neighbouring phones in an hour their approvals are looked at; 0: never (OTP-14).
    pub guard_after: u32,
    /// Where fewer of them than this, in percent, were approved, no further one is sent.
    pub guard_percent: u32,
    /// After so many wrong codes in a row for a phone it gets none any more (OTP-14; NIST SP 800-63B names 100).
    pub max_failures: u32,
    /// The language of messages whose `locale` is not given or not known.
    pub locale: String,
    /// Numbers whose codes are known, and that get nothing (OTP-18).
    pub test_numbers: TestNumbers,
}

impl OtpConfig {
    /// The shortest and the longest code, in digits.
    pub const LENGTHS: std::ops::RangeInclusive<u8> = 6..=10;
    /// The shortest and the longest life of a code.
    pub const TTLS: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(600);
}

impl OtpConfig {
    /// Settings that cannot all be meant by who runs a server of a network: the name of one, and a sentence.
    pub fn contradictions(&self, network: Network) -> Vec<(&'static str, &'static str)> {
        let (guard, prefix) = (self.guard_after, self.per_prefix.most);
        let checks = [
            (
                self.cooldown >= self.ttl,
                "cooldown",
                "must be shorter than otp.ttl, or no code can be sent again",
            ),
            (
                self.undelivered_after >= self.ttl,
                "undelivered_after",
                "must be shorter than otp.ttl, or otp.undelivered is never told",
            ),
            (
                prefix > 0 && guard > prefix,
                "guard_after",
                "must not be more than otp.per_prefix_hourly, or the guard never looks",
            ),
            (
                !template::is_known(&self.locale),
                "locale",
                "must be one of ar, de, en, es, fr, hi, id, pt, ru, tr",
            ),
            (
                network == Network::Live && self.test_numbers.never_end(),
                "test_numbers_until",
                "must say until when otp.test_numbers let anybody in, as in 2027-01-01T00:00:00Z",
            ),
        ];
        let wrong = checks.into_iter().filter(|(is_wrong, ..)| *is_wrong);
        wrong.map(|(_, setting, fault)| (setting, fault)).collect()
    }
}

impl Default for OtpConfig {
    fn default() -> Self {
        Self {
            length: 6,
            ttl: Duration::from_secs(300),
            max_attempts: 5,
            max_sends: 5,
            cooldown: Duration::from_secs(30),
            retention: Duration::from_secs(24 * 60 * 60),
            undelivered_after: Duration::from_secs(20),
            per_phone: Rate::hourly(5),
            per_phone_daily: Rate::daily(10),
            per_prefix: Rate::hourly(30),
            per_client: Rate::hourly(10),
            per_key: Rate::hourly(0),
            per_session: Rate::hourly(0),
            countries: Countries::default(),
            guard_after: 20,
            guard_percent: 10,
            max_failures: 100,
            locale: "en".to_owned(),
            test_numbers: TestNumbers::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use wharf_model::Timestamp;

    use super::*;

    /// OTP-18: whoever serves people says when tests are over.
    #[test]
    fn otp_18_test_numbers_of_the_live_network_have_an_end() {
        let mut config = OtpConfig::default();
        assert!(config.contradictions(Network::Live).is_empty());
        config.test_numbers = "+15550100001=123456".parse().unwrap();
        assert!(config.contradictions(Network::Sandbox).is_empty());
        let settings: Vec<_> = config
            .contradictions(Network::Live)
            .iter()
            .map(|fault| fault.0)
            .collect();
        assert_eq!(settings, ["test_numbers_until"]);
        config.test_numbers = config.test_numbers.until(Some(Timestamp::from_secs(1_800_000_000)));
        assert!(config.contradictions(Network::Live).is_empty());
    }
}
