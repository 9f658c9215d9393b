//! Random histories, each in a session of its own, on the backend and on the oracle.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use wacore::store::InMemoryBackend;

use super::House;
use super::ops::{Op, apply, history};

/// Proptest prints the history that it shrank to, and the seed to see it again, when one differs.
#[test]
fn every_method_answers_as_the_engines_own_store_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let house = runtime.block_on(House::new());
    let config = Config {
        cases: 192,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&history(), |ops| runtime.block_on(compare(&house, &ops)));
    outcome.unwrap();
}

async fn compare(house: &House, ops: &[Op]) -> Result<(), TestCaseError> {
    let (ours, oracle) = (house.backend().await, InMemoryBackend::new());
    for (step, op) in ops.iter().enumerate() {
        let (answer, expected) = (apply(&ours, op).await, apply(&oracle, op).await);
        prop_assert_eq!(answer, expected, "step {}: {:?}", step, op);
    }
    Ok(())
}
