//! Owns the metrics recorder: one registry for Wharf's own numbers and the engine's, shown by the API's `/metrics`.

use std::time::Duration;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use wharf_storage::Storage;

/// Seconds, from a local commit to a patient phone.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder.
///
/// # Errors
/// When one is installed already.
pub fn install() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets(&SECONDS).context("no buckets")?;
    builder.install_recorder().context("metrics could not be set up")
}

/// Folds histograms so that they do not grow, and notes how deep storage's queues are, until `stop`.
pub async fn keep_up(recorder: PrometheusHandle, storage: Storage, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        recorder.run_upkeep();
        let depths = storage.queue_depths();
        for (queue, depth) in [
            ("signal_state", depths.signal_state),
            ("normal", depths.normal),
            ("reads", depths.reads),
        ] {
            let depth = u32::try_from(depth).unwrap_or(u32::MAX);
            metrics::gauge!("wharf_storage_queue_depth", "queue" => queue).set(depth);
        }
    }
}
