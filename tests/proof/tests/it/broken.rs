//! Every invariant fails on a recording that was broken in its way, and on the good one none does.

use std::collections::HashSet;

use wharf_proof::check::INVARIANTS;
use wharf_proof::mutate::{MUTATIONS, show};
use wharf_proof::{Recording, check};

use crate::good;

#[test]
fn a_good_recording_is_clean() {
    let report = check(&good::recording());
    assert!(report.is_clean(), "{report}");
}

#[test]
fn every_mutation_is_caught_under_its_name() {
    for shown in show(&good::recording()) {
        assert!(
            shown.is_caught(),
            "{shown}\n{}",
            shown.report.clone().unwrap_or_default()
        );
    }
}

#[test]
fn every_invariant_is_seen_failing() {
    let expected: HashSet<&str> = MUTATIONS.iter().map(|mutation| mutation.expects).collect();
    for invariant in INVARIANTS {
        assert!(expected.contains(invariant.name), "nothing breaks {}", invariant.name);
    }
    let names: HashSet<&str> = INVARIANTS.iter().map(|invariant| invariant.name).collect();
    assert_eq!(names.len(), INVARIANTS.len());
    assert!(expected.is_subset(&names));
}

#[test]
fn nothing_at_all_proves_nothing() {
    let report = check(&Recording::default());
    assert!(report.names("recording_is_substantial") && report.names("everybody_took_part"));
}
