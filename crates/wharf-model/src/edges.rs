//! The two impure edges that everything else receives as parameters: the clock and the source of randomness.
//! Tests pass their own; the composition root passes [`SystemEdges`], the one place that asks the machine.

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Timestamp;

/// Tells the time of day.
pub trait Clock: Send + Sync + Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// Gives unpredictable bytes, fit for keys, codes and ids.
pub trait Random: Send + Sync + Debug {
    /// Fills `buffer` whole.
    fn fill(&self, buffer: &mut [u8]);

    /// A number below `bound`, evenly distributed by rejection; 0 when `bound` is 0.
    fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let mut bytes = [0; 8];
            self.fill(&mut bytes);
            let drawn = u64::from_le_bytes(bytes);
            if drawn < limit {
                return drawn % bound;
            }
        }
    }
}

/// The machine's own clock and its operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEdges;

impl Clock for SystemEdges {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Random for SystemEdges {
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = getrandom::fill(buffer) {
            // Without randomness no key, code or id is safe: going on would be worse than stopping.
            #[expect(clippy::panic, reason = "a machine without a random source cannot run Wharf safely")]
            {
                panic!("the operating system gave no random bytes: {error}");
            }
        }
    }
}
