//! (b) How long it takes from a QR code to a session that can send.

use std::time::Duration;

use anyhow::{Context, Result};
use wharf_testkit::process::Sandbox;

use super::{Bench, tell};
use crate::gateway::{Gateway, link};
use crate::load::spread::Spread;
use crate::report::figure::{Figure, Unit};
use crate::report::{Row, Section};

pub async fn measure(bench: &Bench) -> Result<Section> {
    let sandbox = bench.start_sandbox().await?;
    let delays = deliberate_delays(&sandbox).await?;
    let wharf = bench.start_wharf("linking", &sandbox.chat_url).await?;
    let ours = link_again_and_again(bench, &wharf, &sandbox).await?;
    wharf.stop().await?;
    let baileys = bench
        .start_baileys("linking-baileys", &sandbox, &sandbox.chat_url)
        .await?;
    let theirs = link_again_and_again(bench, &baileys, &sandbox).await?;
    baileys.stop().await?;
    sandbox.stop().await?;
    let figure = |spread: &Spread, less: f64| {
        let time = |percent| spread.percentile(percent) - less;
        Figure::pair(Unit::Seconds, time(50), time(99))
    };
    let row = |what: &str, less| Row::wharf(what, figure(&ours, less)).beside(Some(figure(&theirs, less)));
    Ok(Section {
        title: "(b) Linking",
        method: format!(
            "From the QR code in the client's hands to `ready`, scanned at once; {} links, one after the other, p50 / p99. \
             The sandbox waits {:.0} ms on purpose during each, as the real server does. A build of Wharf with the sandbox \
             uploads 50 one-time pre-keys before it is ready, Baileys (and a release build of Wharf) 812.",
            ours.len(),
            delays.as_secs_f64() * 1000.0
        ),
        rows: vec![
            row("QR shown to ready", 0.0),
            row("without the sandbox's own delays", delays.as_secs_f64()),
        ],
        uses: Vec::new(),
    })
}

async fn link_again_and_again<G: Gateway>(bench: &Bench, gateway: &G, sandbox: &Sandbox) -> Result<Spread> {
    let mut times = Vec::with_capacity(bench.plan.links);
    // The first link of a process warms it up and is not counted.
    for number in 0..=bench.plan.links {
        let name = format!("{}-{number}", G::NAME.to_lowercase());
        times.push(link(gateway, sandbox, &name).await?.1);
    }
    tell(&format!("(b) {}: {} links", G::NAME, bench.plan.links));
    Ok(times.into_iter().skip(1).collect())
}

/// What the sandbox waits between a scan and the end of the login that follows.
async fn deliberate_delays(sandbox: &Sandbox) -> Result<Duration> {
    let timing = sandbox.control().get("/sandbox/api/timing").await?;
    let millis = timing["scan_to_logged_in_ms"].as_u64();
    millis
        .map(Duration::from_millis)
        .with_context(|| format!("no scan_to_logged_in_ms in {timing}"))
}
