//! How much is measured.

use std::time::Duration;

/// Sizes of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// (a) Numbers of idle sessions, rising.
    pub idle: Vec<usize>,
    /// (a) Between which of them the slope is taken.
    pub slope: (usize, usize),
    /// (a) For how long a gateway has to be at rest before its memory is read.
    pub rest: Duration,
    /// (a) How long the last of them is watched.
    pub idle_for: Duration,
    /// (b) How many links are timed.
    pub links: usize,
    /// (c), (d), (f) How long each load lasts.
    pub load_for: Duration,
    /// (d) Sessions that send at the same time.
    pub many: usize,
    /// (e) Linked sessions at the restart.
    pub restart: usize,
    /// (f) Verifications that are approved, and as many that get wrong codes only.
    pub verifications: usize,
    /// (f) Messages of a campaign.
    pub campaign: usize,
}

impl Plan {
    /// What `docs/benchmarks.md` is made of.
    pub fn full() -> Self {
        Self {
            idle: vec![1, 100, 500, 1000],
            slope: (100, 500),
            rest: Duration::from_secs(30),
            idle_for: Duration::from_secs(300),
            links: 100,
            load_for: Duration::from_secs(10),
            many: 100,
            restart: 500,
            verifications: 4000,
            campaign: 100_000,
        }
    }

    /// Small numbers, to see that everything runs and where a change goes.
    pub fn quick() -> Self {
        Self {
            idle: vec![1, 10, 30],
            slope: (10, 30),
            rest: Duration::from_secs(9),
            idle_for: Duration::from_secs(15),
            links: 8,
            load_for: Duration::from_secs(3),
            many: 20,
            restart: 30,
            verifications: 200,
            // Fewer would be sent before the codes are.
            campaign: 20_000,
        }
    }
}
