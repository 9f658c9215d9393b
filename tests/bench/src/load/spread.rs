//! Times of many like things.

use std::time::Duration;

/// Sorted times.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    seconds: Vec<f64>,
}

impl Spread {
    /// The time below which this percentage lies; 0 of nothing.
    pub fn percentile(&self, percent: usize) -> f64 {
        let last = self.seconds.len().saturating_sub(1);
        let at = (self.seconds.len() * percent / 100).min(last);
        self.seconds.get(at).copied().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.seconds.len()
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(seconds: I) -> Self {
        let mut seconds: Vec<f64> = seconds.into_iter().collect();
        seconds.sort_by(f64::total_cmp);
        Self { seconds }
    }
}

impl FromIterator<Duration> for Spread {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        times.into_iter().map(|time| time.as_secs_f64()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let spread: Spread = (1..=100).rev().map(f64::from).collect();
        assert_eq!((spread.percentile(50), spread.percentile(99)), (51.0, 100.0));
        assert_eq!(Spread::default().percentile(99), 0.0);
    }
}
