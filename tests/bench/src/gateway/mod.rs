//! What is measured: Wharf, and a minimal Baileys program. One trait, so that both do the same work at the same depth.

mod baileys;
mod wharf;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use wharf_testkit::process::{Sandbox, Usage};

pub use baileys::Baileys;
pub use wharf::Wharf;

use crate::load::caller::Caller;
use crate::measure::tell;

/// How many sessions are linked at once when time is not measured.
const LINKED_AT_ONCE: usize = 8;

/// How much of what a gateway said last is looked at, and how much of it is told, in bytes.
const LAST_WORDS: u64 = 64 * 1024;
const TOLD: usize = 300;
/// What Node begins the line with that says why it cannot go on; a trace of calls follows.
const CAUSE: &str = "FATAL ERROR";

/// A session that shows a QR code.
pub struct Shown {
    pub session: String,
    pub qr: String,
    pub at: Instant,
}

/// A gateway in a process of its own.
pub trait Gateway {
    /// What the table calls it.
    const NAME: &'static str;

    /// How often a link is tried before the measurement is given up. A gateway that loses links under load is still to be
    /// measured with all of them.
    const LINK_TRIES: u32;

    /// Makes a session and waits for its QR code.
    async fn show_qr(&self, name: &str) -> Result<Watched<Self>>
    where
        Self: Sized;

    /// Waits until a session that was scanned is ready.
    async fn until_ready(&self, watch: Self::Watch) -> Result<()>;

    /// What `show_qr` leaves behind for `until_ready`.
    type Watch;

    /// Callers through these sessions: as many as there are lists of chats, each with its session.
    async fn callers(&self, lists: &[Chats<'_>]) -> Result<Vec<Caller>>;

    /// Gives back memory that is not in use, where the gateway does so only when it is asked.
    async fn tidy(&self) -> Result<()>;

    fn usage(&self) -> Result<Usage>;

    /// What its process said last on stderr.
    fn last_words(&mut self) -> String;

    async fn stop(self) -> Result<()>;
}

/// The line that says why a process ended, or the end of what it said.
fn cause(said: &str) -> String {
    let line = said.lines().find(|line| line.starts_with(CAUSE));
    let told = line.unwrap_or_else(|| &said[said.ceil_char_boundary(said.len().saturating_sub(TOLD))..]);
    told.trim().to_owned()
}

/// A session that shows a QR code, and what watches it.
pub struct Watched<G: Gateway> {
    pub shown: Shown,
    pub watch: G::Watch,
}

/// What one caller sends to: a session's chats, by phone number.
pub struct Chats<'a> {
    pub session: &'a str,
    pub phones: &'a [String],
}

/// Links a new session with a new phone. Its id, and the time from the QR code to `ready`.
pub async fn link<G: Gateway>(gateway: &G, sandbox: &Sandbox, name: &str) -> Result<(String, Duration)> {
    let phone = sandbox.create_phone(name).await?;
    let Watched { shown, watch } = gateway.show_qr(name).await?;
    let scan = async { Ok(sandbox.scan(&phone, &shown.qr).await?) };
    let linking = async { tokio::try_join!(scan, gateway.until_ready(watch)) };
    linking
        .await
        .with_context(|| format!("linking {name} by {}", G::NAME))?;
    Ok((shown.session, shown.at.elapsed()))
}

/// Links sessions until there are `count`; some at once.
pub async fn link_up_to<G: Gateway>(
    gateway: &G,
    sandbox: &Sandbox,
    sessions: &mut Vec<String>,
    count: usize,
) -> Result<()> {
    let mut linked = futures::stream::iter(sessions.len()..count)
        .map(|number| async move {
            let name = format!("{}-{number}", G::NAME.to_lowercase());
            link_at_last(gateway, sandbox, &name).await
        })
        .buffer_unordered(LINKED_AT_ONCE);
    // One by one: those before a failure are linked.
    while let Some(session) = linked.try_next().await? {
        sessions.push(session);
    }
    Ok(())
}

async fn link_at_last<G: Gateway>(gateway: &G, sandbox: &Sandbox, name: &str) -> Result<String> {
    for attempt in 1.. {
        match link(gateway, sandbox, &format!("{name}-{attempt}")).await {
            Ok((session, _)) => return Ok(session),
            Err(error) if attempt < G::LINK_TRIES => tell(&format!("{error:#}; it is tried again")),
            Err(error) => return Err(error),
        }
    }
    bail!("{name} was not tried")
}
