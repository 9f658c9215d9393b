//! Reads the sandbox's raw log as it grows.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wharf_testkit::process::Remote;

use super::Recorder;
use crate::recording::Observation;

const LOOK_AGAIN: Duration = Duration::from_millis(150);
const PAGE: usize = 10_000;

/// The reader of the raw log.
#[derive(Debug)]
pub struct NetworkLog {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl NetworkLog {
    /// Starts to read, from the first line on.
    pub fn start(control: Remote, recorder: Arc<Recorder>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let read = read(&control, &recorder, stopped).await;
            if let Err(error) = &read {
                recorder.break_off(format!("{error:#}"));
            }
            read
        });
        Self { stop, task }
    }

    /// Reads to the end, then stops.
    ///
    /// # Errors
    /// The log has gaps, or cannot be read.
    pub async fn finish(self) -> Result<()> {
        self.stop.send_replace(true);
        self.task.await?
    }
}

async fn read(control: &Remote, recorder: &Recorder, mut stopped: watch::Receiver<bool>) -> Result<()> {
    let mut last = 0;
    loop {
        let ending = *stopped.borrow_and_update();
        let page = control
            .text(&format!("/sandbox/api/stanzas?after={last}&limit={PAGE}"))
            .await?;
        let mut count = 0;
        for line in page.lines() {
            last = number(line, last)?;
            recorder.observation(line)?;
            count += 1;
        }
        if count == PAGE {
            continue;
        }
        if ending {
            return Ok(());
        }
        // Either it is time to look again, or to look for the last time.
        let _ = tokio::time::timeout(LOOK_AGAIN, stopped.changed()).await;
    }
}

/// The whole log as it stands.
///
/// # Errors
/// It has gaps, or cannot be read.
pub(crate) async fn whole_log(control: &Remote) -> Result<Vec<Observation>> {
    let (mut last, mut found) = (0, Vec::new());
    loop {
        let before = last;
        let page = control
            .text(&format!("/sandbox/api/stanzas?after={last}&limit={PAGE}"))
            .await?;
        for line in page.lines() {
            last = number(line, last)?;
            let observation = serde_json::from_str(line);
            found.push(observation.with_context(|| format!("not a line of the sandbox's log: {line}"))?);
        }
        if last == before {
            return Ok(found);
        }
    }
}

/// The lines' numbers serve to find gaps while reading, and nothing else.
fn number(line: &str, last: u64) -> Result<u64> {
    let parsed: Value = serde_json::from_str(line)?;
    if parsed["missed"] == true {
        bail!("the sandbox's log overflowed behind line {last}");
    }
    match parsed["seq"].as_u64() {
        Some(seq) if seq == last + 1 => Ok(seq),
        _ => bail!("behind line {last} of the sandbox's log stands: {line}"),
    }
}
