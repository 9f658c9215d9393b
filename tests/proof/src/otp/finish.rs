//! The end of a run: visitors are let to leave, come back once more, and everything is read.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::task::JoinSet;
use wharf_testkit::process::{ProcessError, Remote, Wharf};

use super::desk::Desk;
use super::drive::{LANES, Stage};
use super::phone::{bubbles, code_in};
use super::record::{Arrival, Attempt, Event, Record, Verification, Visit};
use super::visit::come_back;
use crate::drive::whole_log;
use crate::recording::{Observation, Observed};

/// How long visitors may take to leave. Those who do not are not waited for: the judge says that they did not.
const PATIENCE: Duration = Duration::from_secs(120);

/// The last life: nobody comes any more, and everything comes to its end.
pub(super) async fn finish(stage: Stage, wharf: Wharf, desk: &Arc<Desk>, mut lanes: JoinSet<()>) -> Result<Record> {
    desk.close_for_good();
    desk.open(wharf.api().clone());
    for session in &stage.sessions {
        // One that never becomes ready leaves its codes unsent, which the judge sees.
        let _ = wharf.ready(session, PATIENCE).await;
    }
    let leaving = async { while lanes.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(PATIENCE, leaving).await;
    lanes.shutdown().await;
    let visits = desk.book.visits();
    let back = Arc::clone(desk);
    let come = move |visit: Visit| {
        let desk = Arc::clone(&back);
        async move {
            come_back(&desk, &visit).await;
            anyhow::Ok(Vec::<()>::new())
        }
    };
    with_each(&visits, come).await?;
    let verifications = read_verifications(wharf.api(), desk).await?;
    let events = read_events(wharf.api()).await?;
    wharf
        .terminate()
        .await
        .context("the last process did not end cleanly")?;
    let phones = visits.into_iter().map(|visit| visit.phone);
    let phones: Vec<String> = phones.filter(|phone| !phone.is_empty()).collect();
    let control = desk.control.clone();
    let read = move |phone: String| {
        let control = control.clone();
        async move { anyhow::Ok(bubbles(&control, &phone).await?) }
    };
    let bubbles = with_each(&phones, read).await?;
    let arrivals = arrivals(whole_log(&desk.control).await?, &phones);
    stage.sandbox.stop().await?;
    desk.book.finish(|record| {
        record.verifications = verifications;
        record.events = events;
        record.bubbles = bubbles;
        record.arrivals = arrivals;
    })
}

/// Does the same with every item, some at once.
async fn with_each<T, R, F>(items: &[T], work: impl Fn(T) -> F + Clone + Send + Sync + 'static) -> Result<Vec<R>>
where
    T: Clone + Send + Sync + 'static,
    R: Send + 'static,
    F: Future<Output = Result<Vec<R>>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for part in items.chunks(items.len().div_ceil(LANES).max(1)) {
        let (part, work) = (part.to_vec(), work.clone());
        tasks.spawn(async move {
            let mut found = Vec::new();
            for item in part {
                found.extend(work(item).await?);
            }
            anyhow::Ok(found)
        });
    }
    let mut found = Vec::new();
    while let Some(done) = tasks.join_next().await {
        found.extend(done??);
    }
    Ok(found)
}

/// Those that are listed, and those that were accepted, which should be the same.
async fn read_verifications(api: &Remote, desk: &Desk) -> Result<Vec<Verification>> {
    let listed = api.all("/api/otp").await?;
    let mut ids: BTreeSet<String> = listed.iter().map(|listed| text(&listed["id"])).collect();
    ids.extend(desk.book.accepted());
    let ids: Vec<String> = ids.into_iter().collect();
    let api = api.clone();
    let read = move |id: String| {
        let api = api.clone();
        async move {
            let found = read_verification(&api, &id).await?;
            anyhow::Ok(found.into_iter().collect())
        }
    };
    with_each(&ids, read).await
}

/// `None`: there is none.
async fn read_verification(api: &Remote, id: &str) -> Result<Option<Verification>> {
    let shown = match api.get(&format!("/api/otp/{id}")).await {
        Ok(shown) => shown,
        Err(ProcessError::Refused { status: 404, .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut attempts = Vec::new();
    for attempt in shown["send_attempts"].as_array().into_iter().flatten() {
        let message = api
            .get(&format!("/api/messages/{}", text(&attempt["message_id"])))
            .await?;
        attempts.push(Attempt {
            n: attempt["n"].as_u64().unwrap_or_default(),
            whatsapp_id: text(&message["whatsapp_message_id"]),
        });
    }
    let checks = shown["checks"].as_array().into_iter().flatten();
    Ok(Some(Verification {
        id: text(&shown["id"]),
        phone: text(&shown["phone"]),
        status: text(&shown["status"]),
        attempts,
        checks: checks.map(|check| text(&check["result"])).collect(),
    }))
}

async fn read_events(api: &Remote) -> Result<Vec<Event>> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/events?limit=100{after}")).await?;
        let events = page["data"].as_array().context("a page of events has no data")?;
        if events.is_empty() {
            return Ok(found);
        }
        let told = events.iter().map(|event| Event {
            kind: text(&event["type"]),
            id: text(&event["data"]["otp_id"]),
        });
        found.extend(told.filter(|event| event.kind.starts_with("otp.")));
        let next = page["next_cursor"].as_str().context("a page of events has no cursor")?;
        after = format!("&after={next}");
    }
}

/// What visitors' phones decrypted. Copies that the sessions' own phones got are left out.
fn arrivals(log: Vec<Observation>, phones: &[String]) -> Vec<Arrival> {
    let phones: HashSet<&str> = phones.iter().map(String::as_str).collect();
    let arrival = |Observation { at, what }| match what {
        Observed::Decrypted(copy) if phones.contains(copy.phone.as_str()) => Some(Arrival {
            code: code_in(copy.text.as_deref()?),
            phone: copy.phone,
            whatsapp_id: copy.id,
            at,
        }),
        _ => None,
    };
    log.into_iter().filter_map(arrival).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
