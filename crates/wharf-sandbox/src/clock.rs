//! The only place that reads the wall clock, and the way its times are written.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, the `t` of every stanza.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// Milliseconds since 1970, the `at` of every message a phone shows.
pub(crate) fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Milliseconds since 1970 as RFC 3339, UTC, with three decimals.
pub(crate) mod rfc3339 {
    use chrono::{DateTime, SecondsFormat};
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub(crate) fn serialize<S: Serializer>(millis: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        let at = i64::try_from(*millis).ok().and_then(DateTime::from_timestamp_millis);
        let at = at.ok_or_else(|| ser::Error::custom("a time beyond the calendar"))?;
        serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = DateTime::parse_from_rfc3339(&text).map_err(de::Error::custom)?;
        u64::try_from(at.timestamp_millis()).map_err(de::Error::custom)
    }
}
