//! (c) How fast messages are accepted: row, event and idempotency key in one durable commit, nothing sent.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use serde_json::json;
use wharf_testkit::postgres::{Cluster, Flush};
use wharf_testkit::process::Sandbox;

use super::{Bench, tell};
use crate::gateway::{Gateway, Wharf, link_up_to};
use crate::load::connection::Connection;
use crate::load::request::Request;
use crate::load::spread::Spread;
use crate::processor::{Processes, family_time};
use crate::report::figure::{Figure, Target, Unit};
use crate::report::{Row, Section, Use};

const CONNECTIONS: [usize; 3] = [1, 16, MOST];
const MOST: usize = 64;
const SESSIONS: usize = 16;
const CHATS: usize = 32;

pub async fn measure(bench: &Bench) -> Result<Section> {
    let sandbox = bench.start_sandbox().await?;
    let mut section = Section {
        title: "(c) Accepting",
        method: format!(
            "Messages a second answered with 202, each with an `Idempotency-Key`, for {SESSIONS} sessions that are linked but \
             disconnected, so that accepting alone is measured; {} s each. Under each rate: p50 / p99 of the answer. Within a \
             quota: with a key whose plan limits the messages of a day, which are counted in the same commit. SQLite with \
             `synchronous=full`, PostgreSQL with `fsync` and `synchronous_commit`: both survive a loss of power.",
            bench.plan.load_for.as_secs()
        ),
        rows: Vec::new(),
        uses: Vec::new(),
    };
    let wharf = bench.start_wharf("accepting", &sandbox.chat_url).await?;
    on(bench, &wharf, &sandbox, "SQLite", None, &mut section).await?;
    wharf.stop().await?;
    let cluster = Cluster::start(Flush::Real)?;
    let (folder, database) = (bench.data("accepting-postgres"), cluster.fresh_database()?);
    let wharf = Wharf::start(&bench.wharf, &folder, &sandbox.chat_url, Some(database)).await?;
    let dialect = postgres_version(&cluster)?;
    on(bench, &wharf, &sandbox, &dialect, Some(&cluster), &mut section).await?;
    wharf.stop().await?;
    sandbox.stop().await?;
    Ok(section)
}

async fn on(
    bench: &Bench,
    wharf: &Wharf,
    sandbox: &Sandbox,
    dialect: &str,
    cluster: Option<&Cluster>,
    section: &mut Section,
) -> Result<()> {
    let mut sessions = Vec::new();
    link_up_to(wharf, sandbox, &mut sessions, SESSIONS).await?;
    for session in &sessions {
        wharf.disconnect(session).await?;
    }
    let mut processes = Processes::new()
        .and("wharf", || Ok(wharf.process().cpu_time()?))
        .and("sandbox", || Ok(sandbox.usage()?.cpu));
    if let Some(cluster) = cluster {
        let server = server_of(cluster)?;
        processes = processes.and("database", move || family_time(server));
    }
    let free = requests(wharf, &sessions, &wharf.authorization());
    let limited = requests(wharf, &sessions, &with_a_quota(wharf).await?);
    let runs = CONNECTIONS.map(|connections| (connections, "", &free));
    let mut key = 0;
    for (connections, within, requests) in runs.into_iter().chain([(MOST, ", within a quota", &limited)]) {
        let load = accept(wharf, requests, connections, bench.plan.load_for, &mut key);
        let (accepted, shares) = processes.during(load).await?;
        let what = format!("{dialect}, {connections} connections{within}");
        tell(&format!("(c) {what}: {:.0} /s", accepted.per_second));
        let targeted = dialect == "SQLite" && connections == MOST;
        section.rows.extend(rows(&what, &accepted, targeted));
        section.uses.push(Use {
            what,
            messages: accepted.times.len(),
            shares,
        });
    }
    Ok(())
}

struct Accepted {
    per_second: f64,
    times: Spread,
}

fn rows(what: &str, accepted: &Accepted, targeted: bool) -> [Row; 2] {
    let rate = Figure::new(Unit::PerSecond, accepted.per_second);
    let times = |percent| accepted.times.percentile(percent);
    let answered = Figure::pair(Unit::Seconds, times(50), times(99));
    [
        Row::wharf(what, rate).target(targeted.then_some(Target::AtLeast(Unit::PerSecond, 10_000.0))),
        Row::wharf("… answered after", answered).target(targeted.then_some(Target::SecondAtMost(Unit::Seconds, 0.025))),
    ]
}

/// The authorization of a key whose plan limits the messages of a day, to more than are ever sent here.
async fn with_a_quota(wharf: &Wharf) -> Result<String> {
    let api = wharf.process().api();
    let plan = json!({ "name": "benchmark", "messages_per_day": 1_000_000_000 });
    let plan = api.post("/api/plans", &plan).await?;
    let key = json!({ "label": "benchmark", "scopes": ["messages:send"], "plan": plan["id"] });
    let made = api.post("/api/api-keys", &key).await?;
    let key = made["key"].as_str().context("a new key without its text")?;
    Ok(format!("Bearer {key}"))
}

/// One for each session and chat.
fn requests(wharf: &Wharf, sessions: &[String], authorization: &str) -> Vec<Request> {
    let chats = (0..CHATS).map(|chat| format!("1555020{chat:04}"));
    let pairs = chats.flat_map(|chat| sessions.iter().map(move |session| (session, chat.clone())));
    let bodies = pairs.map(|(session, chat)| Wharf::message(session, &chat));
    let post = |body: String| Request::post_once(wharf.address(), "/api/messages", Some(authorization), &body);
    bodies.map(post).collect()
}

/// `key` is the last idempotency key that was used; every request takes a new one.
async fn accept(
    wharf: &Wharf,
    requests: &[Request],
    connections: usize,
    time: Duration,
    key: &mut u64,
) -> Result<Accepted> {
    let keys = std::cell::Cell::new(*key);
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let own = requests
            .iter()
            .skip(number % requests.len())
            .step_by(connections)
            .cloned()
            .collect();
        open.push((Connection::open(wharf.address()).await?, own));
    }
    let started = Instant::now();
    let callers = open
        .into_iter()
        .map(|(connection, own)| accept_on(connection, own, started, time, &keys));
    let times = try_join_all(callers).await?.concat();
    let elapsed = started.elapsed();
    *key = keys.get();
    Ok(Accepted {
        per_second: times.len() as f64 / elapsed.as_secs_f64(),
        times: times.into_iter().collect(),
    })
}

async fn accept_on(
    mut connection: Connection,
    mut requests: Vec<Request>,
    started: Instant,
    time: Duration,
    keys: &std::cell::Cell<u64>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while started.elapsed() < time {
        let number = times.len() % requests.len();
        keys.set(keys.get() + 1);
        requests[number].number(keys.get());
        let asked = Instant::now();
        connection.call(requests[number].bytes()).await?;
        times.push(asked.elapsed());
    }
    Ok(times)
}

/// The server's process.
fn server_of(cluster: &Cluster) -> Result<u32> {
    let text = std::fs::read_to_string(cluster.folder().join("data/postmaster.pid"))?;
    Ok(text.lines().next().context("no process of PostgreSQL")?.parse()?)
}

fn postgres_version(cluster: &Cluster) -> Result<String> {
    let version = std::fs::read_to_string(cluster.folder().join("data/PG_VERSION"))?;
    Ok(format!("PostgreSQL {}", version.trim()))
}
