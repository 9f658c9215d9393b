//! When to kill: chosen by the seed, so that a run can be had again.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// What is going on when the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Callers call as fast as they can, sessions send as fast as they can.
    Sending,
    /// Callers call slowly; receipts come in.
    Settled,
    /// Sessions log in; nobody waited for them.
    Reconnecting,
    /// Phones write to the sessions as fast as they can.
    Arriving,
}

impl Moment {
    const ALL: [Self; 4] = [Self::Sending, Self::Settled, Self::Reconnecting, Self::Arriving];
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sending => "sending",
            Self::Settled => "settled",
            Self::Reconnecting => "reconnecting",
            Self::Arriving => "arriving",
        })
    }
}

/// One life, from its start to its kill.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What is going on at its end.
    pub moment: Moment,
    /// How many messages more than needed are accepted before.
    pub surplus: usize,
    /// How long it goes on after that.
    pub delay: Duration,
    /// A start before this one that is killed after so long.
    pub early_kill: Option<Duration>,
}

impl Plan {
    /// Every life of a run.
    pub fn all(seed: u64, kills: usize) -> Vec<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut moments = Vec::new();
        while moments.len() < kills {
            moments.extend(shuffled(&mut rng));
        }
        moments.truncate(kills);
        moments
            .into_iter()
            .map(|moment| Self::random(&mut rng, moment))
            .collect()
    }

    fn random(rng: &mut StdRng, moment: Moment) -> Self {
        let longest = match moment {
            Moment::Sending => 60,
            Moment::Settled => 3000,
            Moment::Reconnecting => 600,
            Moment::Arriving => 400,
        };
        let delay = Duration::from_millis(rng.random_range(0..longest));
        let early = Duration::from_millis(rng.random_range(0..300));
        Self {
            moment,
            surplus: rng.random_range(0..40),
            delay,
            early_kill: rng.random_bool(0.25).then_some(early),
        }
    }
}

/// Each moment once, so that short runs see all of them.
fn shuffled(rng: &mut StdRng) -> [Moment; 4] {
    let mut moments = Moment::ALL;
    for at in (1..moments.len()).rev() {
        moments.swap(at, rng.random_range(0..=at));
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_its_plans_and_four_kills_see_every_moment() {
        let plans = Plan::all(7, 5);
        assert_eq!(format!("{plans:?}"), format!("{:?}", Plan::all(7, 5)));
        assert_ne!(format!("{plans:?}"), format!("{:?}", Plan::all(8, 5)));
        assert_eq!(plans.len(), 5);
        for moment in Moment::ALL {
            assert!(plans.iter().take(4).any(|plan| plan.moment == moment));
        }
    }
}
