//! When messages arrived at the sandbox, from its stanza log.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use wharf_testkit::process::Sandbox;

use crate::load::caller::SentMessage;
use crate::load::spread::Spread;

/// How many lines the sandbox keeps: more than the longest measurement makes.
pub const KEPT: usize = 2_000_000;
/// The log counts whole milliseconds; on average a stanza came half of one later than it says.
const HALF_A_TICK: f64 = 0.5;

/// A place in the log of a sandbox.
pub struct StanzaLog<'a> {
    sandbox: &'a Sandbox,
    after: u64,
}

#[derive(Deserialize)]
struct Line<'a> {
    seq: Option<u64>,
    #[serde(default)]
    at: f64,
    #[serde(default, borrow)]
    tag: Option<&'a str>,
    #[serde(default, borrow)]
    direction: Option<&'a str>,
    #[serde(default, borrow)]
    id: Option<&'a str>,
    #[serde(default)]
    missed: bool,
}

impl<'a> StanzaLog<'a> {
    pub fn of(sandbox: &'a Sandbox) -> Self {
        Self { sandbox, after: 0 }
    }

    /// Moves behind everything that is there.
    pub async fn skip(&mut self) -> Result<()> {
        self.arrivals().await.map(drop)
    }

    /// Seconds from the request of each message to its stanza at the sandbox.
    pub async fn times_to_wire(&mut self, sent: &[SentMessage]) -> Result<Spread> {
        let arrivals = self.arrivals().await?;
        let mut times = Vec::with_capacity(sent.len());
        for message in sent {
            let at = arrivals
                .get(&message.wire_id)
                .context("an acknowledged message is not in the stanza log")?;
            times.push((at + HALF_A_TICK - message.asked) / 1000.0);
        }
        Ok(times.into_iter().collect())
    }

    /// The first arrival of each message since the last look, in milliseconds since 1970.
    async fn arrivals(&mut self) -> Result<HashMap<String, f64>> {
        let mut arrivals = HashMap::new();
        loop {
            let page = self
                .sandbox
                .control()
                .text(&format!("/sandbox/api/stanzas?after={}", self.after))
                .await?;
            if page.is_empty() {
                return Ok(arrivals);
            }
            for line in page.lines() {
                let line: Line<'_> = serde_json::from_str(line)?;
                if line.missed {
                    bail!("the stanza log is too short for this measurement");
                }
                self.after = line.seq.context("a line without a number")?;
                if line.tag == Some("message")
                    && line.direction == Some("from_client")
                    && let Some(id) = line.id
                {
                    arrivals.entry(id.to_owned()).or_insert(line.at);
                }
            }
        }
    }
}
