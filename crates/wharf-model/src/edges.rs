//! The two impure edges that everything else receives as parameters: the clock and the source of randomness.
//! Tests pass their own; the composition root passes [`SystemEdges`], the one place that asks the machine.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng as _;

use crate::Timestamp;

/// Tells the time of day.
pub trait Clock: Send + Sync + Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// How long to wait for a moment; nothing when it is over. A clock that runs faster than the machine's says less.
    fn until(&self, at: Timestamp) -> Duration {
        at.since(self.now())
    }
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

/// The machine's own clock, and a generator that its operating system seeds. Without a seed the process cannot go on: no
/// key, code or id would be safe.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEdges;

impl Clock for SystemEdges {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Random for SystemEdges {
    /// From the thread's generator (ChaCha, seeded and seeded anew by the operating system): a message takes a dozen
    /// nonces and ids, and a system call for each was a measurable part of its cost.
    fn fill(&self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}
