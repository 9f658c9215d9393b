//! A client of the event feed that keeps its cursor and comes back after every break.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wharf_testkit::process::Remote;

use super::{Recorder, now};
use crate::recording::EventLine;

const COME_BACK_AFTER: Duration = Duration::from_millis(50);

/// Follows the feed of one process of Wharf.
#[derive(Debug)]
pub struct Follower {
    stop: watch::Sender<bool>,
    task: JoinHandle<Option<String>>,
}

impl Follower {
    /// Starts behind `cursor`, or with the oldest event.
    pub fn start(api: Remote, recorder: Arc<Recorder>, cursor: Option<String>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(follow(api, recorder, cursor, stopped));
        Self { stop, task }
    }

    /// Stops; returns where it stands.
    ///
    /// # Errors
    /// The task broke.
    pub async fn stop(self) -> Result<Option<String>> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

async fn follow(
    api: Remote,
    recorder: Arc<Recorder>,
    mut cursor: Option<String>,
    mut stopped: watch::Receiver<bool>,
) -> Option<String> {
    while !*stopped.borrow() {
        // What happened before the stream can be opened is read page by page; both ways have to tell the same.
        let caught_up = catch_up(&api, &recorder, &mut cursor).await.is_ok();
        if caught_up {
            tokio::select! {
                () = stream(&api, &recorder, &mut cursor) => {}
                _ = stopped.changed() => return cursor,
            }
        }
        let _ = tokio::time::timeout(COME_BACK_AFTER, stopped.changed()).await;
    }
    cursor
}

async fn catch_up(api: &Remote, recorder: &Recorder, cursor: &mut Option<String>) -> Result<()> {
    loop {
        let after = cursor
            .as_deref()
            .map(|cursor| format!("&after={cursor}"))
            .unwrap_or_default();
        let page = api.get(&format!("/api/events?limit=100{after}")).await?;
        let events = page["data"].as_array().cloned().unwrap_or_default();
        if events.is_empty() {
            return Ok(());
        }
        for event in &events {
            take(recorder, cursor, event);
        }
    }
}

/// Ends when the connection does; the events that were taken are behind the cursor. Stopping it between two events
/// loses nothing.
async fn stream(api: &Remote, recorder: &Recorder, cursor: &mut Option<String>) {
    // Without a cursor a stream begins now; nothing has happened yet then, and catching up comes again.
    let Some(after) = cursor.clone() else { return };
    let Ok(mut events) = api.follow("/api/events", Some(&after)).await else {
        return;
    };
    while let Ok(Some(event)) = events.next().await {
        take(recorder, cursor, &event.json());
    }
}

fn take(recorder: &Recorder, cursor: &mut Option<String>, event: &Value) {
    let line = line(event);
    *cursor = Some(line.seq.clone());
    recorder.event(line);
}

/// An event as far as the checker looks at it.
pub(super) fn line(event: &Value) -> EventLine {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let data = &event["data"];
    EventLine {
        id: text(&event["id"]).unwrap_or_default(),
        kind: text(&event["type"]).unwrap_or_default(),
        seq: text(&event["seq"]).unwrap_or_default(),
        session: text(&event["session_id"]),
        message: text(&data["message_id"]),
        whatsapp_id: text(&data["whatsapp_message_id"]),
        text: text(&data["text"]["body"]),
        from_me: data["from_me"] == true,
        status: text(&data["status"]),
        at: now(),
    }
}
