//! Everybody on the other side: virtual phones write to the sessions and read what they got.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wharf_testkit::process::Remote;

use super::{Recorder, now};
use crate::recording::InboundLine;

/// Who visits whom.
#[derive(Debug)]
pub struct Company {
    /// The sandbox's control API.
    pub control: Remote,
    /// Phones that write and read.
    pub phones: Vec<String>,
    /// The accounts of the sessions.
    pub sessions: Vec<String>,
    /// Which of the many.
    pub seed: u64,
}

/// The visitors, from the first link to the end of the last life.
#[derive(Debug)]
pub struct Visitors {
    gap_ms: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl Visitors {
    /// Starts them.
    pub fn start(company: Company, recorder: Arc<Recorder>, gap: Duration) -> Self {
        let gap_ms = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn({
            let gap_ms = Arc::clone(&gap_ms);
            async move {
                let visited = visit(&company, &recorder, &gap_ms, stopped).await;
                if let Err(error) = &visited {
                    recorder.break_off(format!("{error:#}"));
                }
                visited
            }
        });
        let visitors = Self { gap_ms, stop, task };
        visitors.set_gap(gap);
        visitors
    }

    /// How long they pause between two things they do.
    pub fn set_gap(&self, gap: Duration) {
        let gap = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        self.gap_ms.store(gap, Ordering::Relaxed);
    }

    /// They stop.
    ///
    /// # Errors
    /// One of them could not do what it wanted.
    pub async fn finish(self) -> Result<()> {
        self.stop.send_replace(true);
        self.task.await?
    }
}

async fn visit(
    company: &Company,
    recorder: &Recorder,
    gap_ms: &AtomicU64,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(company.seed ^ 0x5151);
    let mut number = 0u64;
    while !*stopped.borrow() {
        number += 1;
        let session = pick(&mut rng, &company.sessions).to_owned();
        let phone = pick(&mut rng, &company.phones).to_owned();
        let text = format!("hello {number}");
        match rng.random_range(0..20) {
            0..10 => say(&company.control, recorder, &phone, &session, text).await?,
            // The account's own phone writes, and shows its companions what it wrote.
            10..12 => say(&company.control, recorder, &session, &phone, text).await?,
            _ => read(&company.control, &phone, &session).await?,
        }
        let gap = Duration::from_millis(gap_ms.load(Ordering::Relaxed));
        let _ = tokio::time::timeout(gap, stopped.changed()).await;
    }
    Ok(())
}

async fn say(control: &Remote, recorder: &Recorder, from: &str, to: &str, text: String) -> Result<()> {
    let path = format!("/sandbox/api/phones/{from}/send");
    let sent = control.post(&path, &json!({ "to": to, "text": text })).await?;
    let id = sent["id"].as_str().context("a phone sent a message without an id")?;
    recorder.inbound(InboundLine {
        id: id.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        text,
        at: now(),
    });
    Ok(())
}

/// A phone that has no such chat yet has nothing to read.
async fn read(control: &Remote, phone: &str, chat: &str) -> Result<()> {
    let path = format!("/sandbox/api/phones/{phone}/read");
    let body = json!({ "chat": chat });
    let answer = control.attempt(&path, &body, None).await?;
    let fine = answer.is_success() || answer.status == 404;
    anyhow::ensure!(fine, "POST {path} was answered with {}: {}", answer.status, answer.text);
    Ok(())
}

fn pick<'a>(rng: &mut StdRng, list: &'a [String]) -> &'a str {
    &list[rng.random_range(0..list.len())]
}
