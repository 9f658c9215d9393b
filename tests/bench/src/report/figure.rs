//! A measured value, its unit, and what it should be.

use std::fmt;

/// What a value counts, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown as MB (10⁶).
    Bytes,
    Seconds,
    /// Microseconds: what is too short for the others' milliseconds.
    Micros,
    PerSecond,
    /// Of one core.
    Percent,
    /// Of nothing: a statistic.
    Plain,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Bytes if value < 10e6 => format!("{:.3} MB", value / 1e6),
            Self::Bytes => format!("{:.1} MB", value / 1e6),
            Self::Seconds if value < 1.0 => format!("{:.1} ms", value * 1000.0),
            Self::Seconds => format!("{value:.2} s"),
            Self::Micros => format!("{value:.1} µs"),
            Self::PerSecond if value < 100.0 => format!("{value:.1} /s"),
            Self::PerSecond => format!("{} /s", thousands(value)),
            Self::Percent => format!("{value:.1} %"),
            Self::Plain => format!("{value:.2}"),
        }
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let head = digits.len() % 3;
    let mut text = digits[..head].to_owned();
    for at in (head..digits.len()).step_by(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&digits[at..at + 3]);
    }
    text
}

/// A measured value; sometimes with a second one beside it (p99 beside p50, PSS beside RSS).
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    unit: Unit,
    value: f64,
    second: Option<f64>,
}

impl Figure {
    pub const fn new(unit: Unit, value: f64) -> Self {
        Self {
            unit,
            value,
            second: None,
        }
    }

    pub const fn pair(unit: Unit, value: f64, second: f64) -> Self {
        Self {
            unit,
            value,
            second: Some(second),
        }
    }

    /// How much of `other` this is.
    pub fn ratio(&self, other: &Self) -> String {
        if other.value <= 0.0 {
            return String::new();
        }
        let ratio = self.value / other.value;
        if ratio < 0.1 {
            format!("{ratio:.3}")
        } else {
            format!("{ratio:.2}")
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unit.write(self.value))?;
        match self.second {
            Some(second) => write!(f, " / {}", self.unit.write(second)),
            None => Ok(()),
        }
    }
}

/// What a value should be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    AtMost(Unit, f64),
    AtLeast(Unit, f64),
    /// The second value of a pair.
    SecondAtMost(Unit, f64),
}

impl Target {
    /// `met`, or by how much it is missed.
    pub fn verdict(&self, figure: &Figure) -> String {
        let (value, bound, met) = match *self {
            Self::AtMost(_, bound) => (figure.value, bound, figure.value <= bound),
            Self::AtLeast(_, bound) => (figure.value, bound, figure.value >= bound),
            Self::SecondAtMost(_, bound) => {
                let second = figure.second.unwrap_or(f64::INFINITY);
                (second, bound, second <= bound)
            }
        };
        if met {
            return "met".to_owned();
        }
        format!("missed ({:+.0} %)", (value / bound - 1.0) * 100.0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AtMost(unit, bound) => write!(f, "≤ {}", unit.write(bound)),
            Self::AtLeast(unit, bound) => write!(f, "≥ {}", unit.write(bound)),
            Self::SecondAtMost(unit, bound) => write!(f, "p99 ≤ {}", unit.write(bound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_people_read_them() {
        let shown = |unit, value| Figure::new(unit, value).to_string();
        assert_eq!(shown(Unit::Bytes, 282_000.0), "0.282 MB");
        assert_eq!(shown(Unit::Bytes, 43.26e6), "43.3 MB");
        assert_eq!(shown(Unit::Seconds, 0.0123), "12.3 ms");
        assert_eq!(shown(Unit::Seconds, 17.5), "17.50 s");
        assert_eq!(shown(Unit::PerSecond, 46.14), "46.1 /s");
        assert_eq!(shown(Unit::Plain, 0.514), "0.51");
        assert_eq!(shown(Unit::PerSecond, 1_234_567.0), "1,234,567 /s");
        assert_eq!(
            Figure::pair(Unit::Seconds, 0.001, 0.0025).to_string(),
            "1.0 ms / 2.5 ms"
        );
    }

    #[test]
    fn a_missed_target_says_by_how_much() {
        let rate = Figure::new(Unit::PerSecond, 1092.0);
        assert_eq!(
            Target::AtLeast(Unit::PerSecond, 2000.0).verdict(&rate),
            "missed (-45 %)"
        );
        assert_eq!(Target::AtLeast(Unit::PerSecond, 1000.0).verdict(&rate), "met");
        let times = Figure::pair(Unit::Seconds, 0.01, 0.03);
        assert_eq!(
            Target::SecondAtMost(Unit::Seconds, 0.025).verdict(&times),
            "missed (+20 %)"
        );
        assert_eq!(times.ratio(&Figure::new(Unit::Seconds, 0.04)), "0.25");
    }
}
