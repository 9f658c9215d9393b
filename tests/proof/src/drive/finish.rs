//! The end of a run: everything that was asked for is let to happen, then everything is read once more.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wharf_testkit::process::{Remote, Wharf};

use super::load::Callers;
use super::{Follower, Load, Progress, Recorder, Stage, feed, now};
use crate::recording::{HistoryLine, Life, LifeEnd, MessageLine, Recording};

/// How long what was accepted may take to be sent, and everything else to come to rest. What has not happened then is
/// not waited for: the checker says what is missing.
const PATIENCE: Duration = Duration::from_secs(120);
/// The network is at rest when nothing happened for so long.
const QUIET: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How many messages are read at once.
const READERS: usize = 8;

/// Waits until everything that was asked for has happened, as far as it happens. The load has ended; requests without
/// a known end are repeated here.
///
/// # Errors
/// The recording is not whole.
pub async fn settle(stage: &mut Stage, wharf: &Wharf, callers: &Callers, progress: &mut Progress) -> Result<()> {
    stage.send_visitors_home().await?;
    let deadline = Instant::now() + PATIENCE;
    for session in &stage.sessions {
        // One that never becomes ready leaves its messages unsent, which the checker sees.
        let _ = wharf.ready(&session.id, PATIENCE).await;
    }
    repeat_open(stage, callers, deadline).await?;
    loop {
        while stage.recorder.waiting() != (0, 0) && Instant::now() < deadline {
            progress.show("waiting for the rest", &stage.recorder);
            stage.recorder.healthy()?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        quiet(&stage.recorder, deadline, progress).await?;
        // The companion tells late what it sent.
        if stage.recorder.waiting() == (0, 0) || Instant::now() >= deadline {
            return Ok(());
        }
    }
}

/// Until the end of every request is known. New ones are not made.
async fn repeat_open(stage: &Stage, callers: &Callers, deadline: Instant) -> Result<()> {
    while Instant::now() < deadline {
        if Load::repeat_open(callers).await == 0 {
            return Ok(());
        }
        stage.recorder.healthy()?;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

async fn quiet(recorder: &Recorder, deadline: Instant, progress: &mut Progress) -> Result<()> {
    let (mut traffic, mut since) = (recorder.traffic(), Instant::now());
    while since.elapsed() < QUIET && Instant::now() < deadline {
        progress.show("waiting for quiet", recorder);
        recorder.healthy()?;
        tokio::time::sleep(LOOK_AGAIN).await;
        let seen = recorder.traffic();
        if seen != traffic {
            (traffic, since) = (seen, Instant::now());
        }
    }
    Ok(())
}

/// The last life: it accepts nothing new, and everything comes to its end.
///
/// # Errors
/// One of the programs does not do what it should, or the recording is not whole.
pub async fn finish(
    stage: Stage,
    wharf: Wharf,
    follower: Follower,
    life_started: u64,
    progress: &mut Progress,
) -> Result<Recording> {
    let (log, messages, history) = read_all(&stage, wharf.api()).await?;
    caught_up(&stage.recorder, log.len()).await;
    follower.stop().await?;
    let ended = now();
    wharf
        .terminate()
        .await
        .context("the last process did not end cleanly")?;
    stage.recorder.life(Life {
        started: life_started,
        ended,
        end: LifeEnd::Stop,
        moment: "the end".to_owned(),
        accepted: 0,
        ready_after: None,
    });
    progress.done();
    let recorder = stage.strike().await?;
    let (recording, _) = recorder.finish(|recording| {
        recording.log = log;
        recording.messages = messages;
        recording.history = history;
    })?;
    Ok(recording)
}

type Everything = (Vec<crate::recording::EventLine>, Vec<MessageLine>, Vec<HistoryLine>);

async fn read_all(stage: &Stage, api: &Remote) -> Result<Everything> {
    let mut log = Vec::new();
    let mut after = String::new();
    loop {
        let page = api.get(&format!("/api/events?limit=100{after}")).await?;
        let events = page["data"].as_array().context("a page of events has no data")?;
        if events.is_empty() {
            break;
        }
        log.extend(events.iter().map(feed::line));
        let next = page["next_cursor"].as_str().context("a page of events has no cursor")?;
        after = format!("&after={next}");
    }
    let messages = read_messages(api).await?;
    let mut history = Vec::new();
    for session in &stage.sessions {
        // Newest first.
        let steps = api.all(&format!("/api/sessions/{}/history", session.id)).await?;
        history.extend(steps.iter().rev().map(|step| HistoryLine {
            session: session.id.clone(),
            status: text(&step["status"]),
        }));
    }
    Ok((log, messages, history))
}

/// Lists show no timelines: each message of ours is read once more.
async fn read_messages(api: &Remote) -> Result<Vec<MessageLine>> {
    let (outbound, others): (Vec<Value>, Vec<Value>) = api
        .all("/api/messages")
        .await?
        .into_iter()
        .partition(|message| message["direction"] == "outbound");
    let mut readers = JoinSet::new();
    for part in outbound.chunks(outbound.len().div_ceil(READERS).max(1)) {
        let (api, ids): (Remote, Vec<String>) =
            (api.clone(), part.iter().map(|message| text(&message["id"])).collect());
        readers.spawn(async move {
            let mut lines = Vec::new();
            for id in ids {
                lines.push(message_line(&api.get(&format!("/api/messages/{id}")).await?));
            }
            anyhow::Ok(lines)
        });
    }
    let mut lines: Vec<MessageLine> = others.iter().map(message_line).collect();
    while let Some(read) = readers.join_next().await {
        lines.extend(read??);
    }
    Ok(lines)
}

fn message_line(message: &Value) -> MessageLine {
    let steps = message["timeline"].as_array().into_iter().flatten();
    MessageLine {
        id: text(&message["id"]),
        whatsapp_id: text(&message["whatsapp_message_id"]),
        session: text(&message["session_id"]),
        direction: text(&message["direction"]),
        status: text(&message["status"]),
        timeline: steps.map(|step| text(&step["status"])).collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The follower gets what the log holds, or the checker says that it did not.
async fn caught_up(recorder: &Recorder, events: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while recorder.followed() < events && Instant::now() < deadline {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
