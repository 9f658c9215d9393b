//! When to kill: chosen by the seed, so that a run can be had again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::desk::Step;

/// One life, from its start to its kill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The step after which it ends.
    pub step: Step,
    /// How long after that.
    pub delay: Duration,
    /// How many visitors more than needed leave before; `None`: nobody has to leave, and it ends while it takes up what the
    /// last life left.
    pub surplus: Option<usize>,
    /// A start before this one that is killed after so long.
    pub early_kill: Option<Duration>,
}

impl Plan {
    /// Every life of a run.
    pub(super) fn all(seed: u64, kills: usize) -> Vec<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut steps = Vec::new();
        while steps.len() < kills {
            steps.extend(shuffled(&mut rng));
        }
        steps.truncate(kills);
        steps.into_iter().map(|step| Self::random(&mut rng, step)).collect()
    }

    fn random(rng: &mut StdRng, step: Step) -> Self {
        // As long as the next step takes, roughly: the middle of it is what is wanted.
        let longest = match step {
            Step::Sending | Step::Checking => 5,
            Step::Sent => 20,
            Step::Shown | Step::Approved => 10,
        };
        let early = Duration::from_millis(rng.random_range(0..300));
        let surplus = rng.random_range(0..4);
        Self {
            step,
            delay: Duration::from_millis(rng.random_range(0..longest)),
            surplus: rng.random_bool(0.75).then_some(surplus),
            early_kill: rng.random_bool(0.2).then_some(early),
        }
    }
}

/// Each step once, so that short runs see all of them.
fn shuffled(rng: &mut StdRng) -> [Step; 5] {
    let mut steps = Step::ALL;
    for at in (1..steps.len()).rev() {
        steps.swap(at, rng.random_range(0..=at));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_its_plans_and_five_kills_see_every_step() {
        let plans = Plan::all(7, 6);
        assert_eq!(format!("{plans:?}"), format!("{:?}", Plan::all(7, 6)));
        assert_ne!(format!("{plans:?}"), format!("{:?}", Plan::all(8, 6)));
        assert_eq!(plans.len(), 6);
        for step in Step::ALL {
            assert!(plans.iter().take(5).any(|plan| plan.step == step));
        }
    }
}
