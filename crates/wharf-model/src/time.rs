//! Points in time as everything stores and shows them: whole milliseconds since the Unix epoch, UTC; and days of it.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

/// How many seconds a day has: UTC as computers count it has no others.
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// Milliseconds since 1970-01-01T00:00:00Z. Shown as RFC 3339 with three decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch, as WhatsApp's `t` attributes count.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// What chrono says of a text that is not RFC 3339.
    pub fn parse_rfc3339(text: &str) -> Result<Self, chrono::ParseError> {
        DateTime::parse_from_rfc3339(text).map(|at| Self(at.timestamp_millis()))
    }

    /// The same instant for chrono; `None` outside chrono's range of years.
    pub fn to_datetime(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_datetime() {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

/// A day in UTC, from midnight to midnight. Shown as `2026-01-15`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

/// A text that is not a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day: expected year, month and day, such as 2026-01-15")]
pub struct DayError;

impl Day {
    /// The day that a moment is in.
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_secs().div_euclid(SECONDS_OF_A_DAY))
    }

    /// From its number: the days since 1970-01-01.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The days since 1970-01-01.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// So many days before.
    #[must_use]
    pub const fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days as i64))
    }

    /// When it begins: at midnight.
    pub const fn starts_at(self) -> Timestamp {
        Timestamp::from_secs(self.0.saturating_mul(SECONDS_OF_A_DAY))
    }

    /// When it ends, and the next one begins.
    pub const fn ends_at(self) -> Timestamp {
        Self(self.0.saturating_add(1)).starts_at()
    }

    /// How many days there are from this one to `last`, both included; 0 when `last` is before it.
    pub fn days_to(self, last: Self) -> u64 {
        u64::try_from(last.0.saturating_sub(self.0).saturating_add(1)).unwrap_or(0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.0.saturating_mul(SECONDS_OF_A_DAY), 0) {
            Some(midnight) => write!(f, "{}", midnight.date_naive()),
            None => write!(f, "day {}", self.0),
        }
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        // Chrono takes signs, blanks and years of any length, too.
        let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| DayError)?;
        if !is_plain {
            return Err(DayError);
        }
        let midnight = date.and_time(NaiveTime::MIN).and_utc();
        Ok(Self(midnight.timestamp().div_euclid(SECONDS_OF_A_DAY)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_reads_back_as_itself() {
        for text in ["1970-01-01", "2000-02-29", "2026-12-31", "1969-12-31"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        assert_eq!("1970-01-02".parse::<Day>().unwrap().number(), 1);
        for text in [
            "",
            "2026-1-1",
            "2026-02-30",
            "26-01-01",
            "+026-01-01",
            "2026-01-01 ",
            "tomorrow",
        ] {
            assert_eq!(text.parse::<Day>(), Err(DayError), "{text}");
        }
    }

    #[test]
    fn a_day_goes_from_midnight_to_midnight() {
        let first = Day::of(Timestamp::from_millis(0));
        assert_eq!(first, Day::of(Timestamp::from_secs(SECONDS_OF_A_DAY - 1)));
        assert_eq!(first, Day::of(Timestamp::from_secs(SECONDS_OF_A_DAY)).before(1));
        assert_eq!(Day::of(Timestamp::from_millis(-1)).number(), -1);
        assert_eq!((first.days_to(first), first.days_to(first.before(1))), (1, 0));
        for day in [first, first.before(1)] {
            let moment = Duration::from_millis(1);
            assert_eq!((Day::of(day.starts_at()), Day::of(day.ends_at() - moment)), (day, day));
            assert_eq!(Day::of(day.starts_at() - moment), day.before(1));
            assert_eq!(day.before(1).ends_at(), day.starts_at());
        }
        let last = Day::from_number(i64::MAX);
        assert_eq!(last.ends_at(), last.starts_at(), "an absurd day never overflows");
    }

    #[test]
    fn shows_rfc_3339_with_milliseconds() {
        assert_eq!(
            Timestamp::from_millis(1_700_000_000_007).to_string(),
            "2023-11-14T22:13:20.007Z"
        );
    }

    #[test]
    fn an_absurd_time_is_shown_and_never_panics() {
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), format!("{} ms", i64::MAX));
        assert_eq!(
            Timestamp::from_millis(i64::MAX) + Duration::from_secs(1),
            Timestamp::from_millis(i64::MAX)
        );
    }
}
