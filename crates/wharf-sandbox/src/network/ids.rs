//! Identifiers that repeat with the seed, whatever else goes on at the same time: each comes from who asks for it and how
//! often it asked before, not from a generator that all tasks share.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rand::RngExt as _;
use rand::rngs::StdRng;
use sha2::{Digest as _, Sha256};

#[derive(Debug)]
pub(crate) struct Ids {
    key: [u8; 32],
    /// One for each account, and a few for the network itself.
    counts: Mutex<HashMap<String, u64>>,
}

impl Ids {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        Self {
            key: rng.random(),
            counts: Mutex::default(),
        }
    }

    /// The next number for whoever asks.
    pub(crate) fn next(&self, asker: &str) -> u64 {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match counts.get_mut(asker) {
            Some(count) => count,
            None => counts.entry(asker.to_owned()).or_default(),
        };
        *count += 1;
        let parts = Sha256::new_with_prefix(self.key);
        let parts = parts
            .chain_update(asker)
            .chain_update([0])
            .chain_update(count.to_be_bytes());
        parts.finalize()[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A number from `low` up to but not including `high`.
    pub(crate) fn next_within(&self, asker: &str, low: u64, high: u64) -> u64 {
        low + self.next(asker) % (high - low)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn ids(seed: u64) -> Ids {
        Ids::new(&mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn what_one_gets_does_not_depend_on_what_others_asked() {
        let (one, two) = (ids(1), ids(1));
        two.next("b");
        let numbers = [one.next("a"), one.next("a")];
        assert_ne!(numbers[0], numbers[1]);
        assert_eq!([two.next("a"), two.next("a")], numbers);
        assert_ne!(ids(2).next("a"), numbers[0]);
    }
}
