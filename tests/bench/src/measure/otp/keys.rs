//! How long the check of an API key takes, from its text to its caller: form, checksum and hash, what is known of the key, its
//! end, its addresses, and its use counted.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use wharf_api::Authenticator;
use wharf_api::keys::ApiKey;
use wharf_model::{ApiKeyId, Clock as _, Network, SystemEdges};
use wharf_storage::api_keys::{self, NewApiKey};
use wharf_storage::{Queue, Storage, StorageConfig};

use super::super::tell;
use crate::report::Row;
use crate::report::figure::{Figure, Target, Unit};

/// Checks of a key that is cached.
const CHECKS: usize = 100_000;
/// Checks that ask the database.
const LOOK_UPS: usize = 10_000;
/// Checks before the first that counts.
const WARM_UP: usize = 1000;
/// KEY-3, in microseconds.
const TARGET: f64 = 50.0;
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The rows of a key that is cached, of one that is not, and of one that nobody made. `folder` is for a database of their own.
pub async fn measure(folder: PathBuf) -> Result<Vec<Row>> {
    let storage = Storage::open(StorageConfig::new(folder, Network::Sandbox)).await?;
    let [valid, unknown] = [(); 2].map(|()| ApiKey::generate(Network::Sandbox, &SystemEdges));
    store(&storage, &valid).await?;
    let authenticator = Authenticator::new(storage.clone(), Arc::new(SystemEdges), Network::Sandbox);
    let cached = times(CHECKS, async || timed(&authenticator, &valid, true).await).await?;
    let looked_up = times(LOOK_UPS, async || {
        authenticator.forget();
        timed(&authenticator, &valid, true).await
    })
    .await?;
    let refused = times(LOOK_UPS, async || timed(&authenticator, &unknown, false).await).await?;
    storage.close().await;
    let rows = [
        rows("cached", &cached, Some(TARGET)),
        rows("not cached", &looked_up, None),
        rows("unknown", &refused, None),
    ];
    Ok(rows.into_iter().flatten().collect())
}

async fn timed(authenticator: &Authenticator, key: &ApiKey, works: bool) -> Result<Duration> {
    let asked = Instant::now();
    let answer = authenticator.caller(key.reveal(), ADDRESS).await;
    let took = asked.elapsed();
    ensure!(answer.is_ok() == works, "{answer:?}");
    Ok(took)
}

/// How long so many checks took, the shortest first.
async fn times(checks: usize, check: impl AsyncFn() -> Result<Duration>) -> Result<Vec<Duration>> {
    for _ in 0..WARM_UP {
        check().await?;
    }
    let mut times = Vec::with_capacity(checks);
    for _ in 0..checks {
        times.push(check().await?);
    }
    times.sort_unstable();
    Ok(times)
}

fn rows(key: &str, sorted: &[Duration], target: Option<f64>) -> [Row; 2] {
    let micros = |thousandths: usize| {
        let place = sorted.len() * thousandths / 1000;
        sorted.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    };
    let what = format!("check of an API key, {key}: p50 / p99 of {}", sorted.len());
    let figure = Figure::pair(Unit::Micros, micros(500), micros(990));
    tell(&format!("(f) {what}: {figure}"));
    [
        Row::wharf(what, figure).target(target.map(|most| Target::SecondAtMost(Unit::Micros, most))),
        Row::wharf("… p99.9", Figure::new(Unit::Micros, micros(999))),
    ]
}

async fn store(storage: &Storage, key: &ApiKey) -> Result<()> {
    let row = NewApiKey {
        id: ApiKeyId::generate(&SystemEdges, &SystemEdges),
        workspace_id: storage.ensure_default_workspace().await?.id,
        label: "measured".to_owned(),
        prefix: key.prefix(),
        hash: key.hash(),
        scopes: Vec::new(),
        expires_at: None,
        ips: None,
        sessions: None,
        plan: None,
        created_by: None,
        created_at: SystemEdges.now(),
    };
    let insert = storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { api_keys::insert(tx, &row).await })
    });
    Ok(insert.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_shown_in_microseconds_beside_their_target() {
        let sorted: Vec<_> = (0..1000).map(Duration::from_micros).collect();
        let [first, second] = rows("cached", &sorted, Some(TARGET));
        let (shown, target) = (first.wharf.unwrap(), first.target.unwrap());
        assert_eq!(shown.to_string(), "500.0 µs / 990.0 µs");
        assert_eq!(target.verdict(&shown), "missed (+1880 %)");
        assert_eq!(second.wharf.unwrap().to_string(), "999.0 µs");
    }
}
