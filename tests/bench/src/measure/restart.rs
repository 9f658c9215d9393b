//! (e) How long a restart keeps sessions offline.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use wharf_testkit::process::EventStream;

use super::{Bench, tell};
use crate::gateway::{Gateway, Wharf, link_up_to};
use crate::report::figure::{Figure, Target, Unit};
use crate::report::{Row, Section};

/// The target holds for this many sessions.
const TARGET_SESSIONS: usize = 500;

pub async fn measure(bench: &Bench) -> Result<Section> {
    let sandbox = bench.start_sandbox().await?;
    let wharf = bench.start_wharf("restart", &sandbox.chat_url).await?;
    let (mut sessions, count) = (Vec::new(), bench.plan.restart);
    link_up_to(&wharf, &sandbox, &mut sessions, count).await?;
    let before = last_event(&wharf).await?;
    let options = wharf.end().await?;
    let started = Instant::now();
    let wharf = Wharf::start_again(options).await?;
    let served = started.elapsed();
    // From before the stop, so that a session that was ready before this was asked is not missed.
    let mut events = wharf
        .process()
        .api()
        .follow("/api/events?types=session.status", Some(&before))
        .await?;
    until_all_ready(&mut events, count).await?;
    let ready = started.elapsed();
    tell(&format!("(e) {count} sessions ready after {ready:.1?}"));
    let all = wharf.process().api().all("/api/sessions").await?;
    ensure!(
        all.len() == count && all.iter().all(|session| session["status"] == "ready"),
        "a session is not ready although its events said so"
    );
    wharf.stop().await?;
    sandbox.stop().await?;
    let target = (count == TARGET_SESSIONS).then_some(Target::AtMost(Unit::Seconds, 20.0));
    let seconds = |time: std::time::Duration| Figure::new(Unit::Seconds, time.as_secs_f64());
    Ok(Section {
        title: "(e) Restart",
        method: "From the start of the process, after a stop by SIGTERM, until every session's event says `ready`."
            .to_owned(),
        rows: vec![
            Row::wharf("start to answering", seconds(served)),
            Row::wharf(format!("start to {count} sessions ready"), seconds(ready)).target(target),
        ],
        uses: Vec::new(),
    })
}

/// The place of the log's end.
async fn last_event(wharf: &Wharf) -> Result<String> {
    let mut after = String::new();
    loop {
        let page = wharf
            .process()
            .api()
            .get(&format!("/api/events?limit=100&types=session.status&after={after}"))
            .await?;
        after = page["next_cursor"]
            .as_str()
            .context("a page without a cursor")?
            .to_owned();
        if page["data"].as_array().is_none_or(Vec::is_empty) {
            return Ok(after);
        }
    }
}

/// Sessions go offline at the stop and come back; what counts is that each is ready in the end.
async fn until_all_ready(events: &mut EventStream, count: usize) -> Result<()> {
    let mut ready = HashSet::new();
    while let Some(event) = events.next().await? {
        let event = event.json();
        let session = event["session_id"].as_str().context("an event without a session")?;
        if event["data"]["status"] == "ready" {
            ready.insert(session.to_owned());
        } else {
            ready.remove(session);
        }
        if ready.len() == count {
            return Ok(());
        }
    }
    bail!("the event stream ended with {} of {count} sessions ready", ready.len())
}
