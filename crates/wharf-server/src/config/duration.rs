//! Durations as people write them: a whole number and a unit.

use std::time::Duration;

/// Units, longest suffix first so that `ms` is not read as `s`.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads `500ms`, `15s`, `10m`, `24h`, `30d`; `None` for anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let (number, scale) = UNITS
        .iter()
        .find_map(|(suffix, scale)| text.strip_suffix(suffix).map(|number| (number.trim(), *scale)))?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(scale)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("15s"), Some(Duration::from_secs(15)));
        assert_eq!(parse("10 m"), Some(Duration::from_secs(600)));
        assert_eq!(parse("24h"), Some(Duration::from_secs(86_400)));
        assert_eq!(parse("30d"), Some(Duration::from_secs(2_592_000)));
    }

    #[test]
    fn refuses_what_could_mean_two_things() {
        for text in [
            "",
            "15",
            "s",
            "-1s",
            "1.5s",
            "1h30m",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
