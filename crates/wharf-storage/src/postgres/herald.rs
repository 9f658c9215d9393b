//! Says when events can be read, here and to other processes.
//!
//! A committed event is readable once every transaction with a lower number has ended; until then readers pass over it.
//! So a commit is not what wakes readers: the herald looks how far the log is readable, and looks again, more and more
//! slowly, as long as something is committed and not readable.
//!
//! Other processes are told by `notify`: from this one connection and a few milliseconds apart, because transactions
//! that notify commit one after the other. It is a nudge that may be lost; every second the owner looks at the log.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, broadcast, watch};
use tokio_postgres::{Client, Notification};
use wharf_model::SessionId;

use super::address::Address;
use super::tenure::{SETTINGS, stopped};

/// What processes on one database talk over.
pub(crate) const CHANNEL: &str = "wharf";

/// The shortest and the longest time between two looks while something is committed and not readable.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(50);

/// The shortest time between two notifications.
const APART: Duration = Duration::from_millis(5);

/// How many sessions one notification names: its text must be shorter than 8,000 bytes.
const NAMED: usize = 100;

#[derive(Debug)]
pub(crate) struct Herald {
    /// The highest transaction number of a committed event.
    committed: AtomicU64,
    /// Events of transactions below this number can be read.
    readable: AtomicU64,
    /// Sessions that got something to send, to be named to other processes.
    outbound: Mutex<HashSet<SessionId>>,
    wake: Notify,
    changes: watch::Sender<u64>,
    nudges: broadcast::Sender<SessionId>,
    /// The server's process of our own voice: what it says we know.
    voice: AtomicI32,
}

impl Herald {
    pub(crate) fn new(changes: watch::Sender<u64>, nudges: broadcast::Sender<SessionId>) -> Self {
        Self {
            committed: AtomicU64::new(0),
            readable: AtomicU64::new(0),
            outbound: Mutex::default(),
            wake: Notify::new(),
            changes,
            nudges,
            voice: AtomicI32::new(0),
        }
    }

    /// A unit of this process committed.
    pub(crate) fn committed(&self, txid: Option<u64>, outbound: Vec<SessionId>) {
        for session in &outbound {
            // Nobody listening is fine: rows are found at the next look.
            let _ = self.nudges.send(*session);
        }
        if txid.is_none() && outbound.is_empty() {
            return;
        }
        self.committed.fetch_max(txid.unwrap_or(0), Ordering::SeqCst);
        self.outbound().extend(outbound);
        self.look();
    }

    /// The newest event of the log, seen in passing.
    pub(crate) fn seen(&self, txid: u64) {
        if self.committed.fetch_max(txid, Ordering::SeqCst) < txid {
            self.look();
        }
    }

    /// Looks how far the log can be read.
    pub(crate) fn look(&self) {
        self.wake.notify_one();
    }

    /// Another process said something: lines of `events TXID` and `outbound SESSION`.
    pub(crate) fn heard(&self, notification: &Notification) {
        if notification.process_id() == self.voice.load(Ordering::SeqCst) {
            return;
        }
        for word in notification.payload().lines() {
            match word.split_once(' ') {
                Some(("events", txid)) => self.seen(txid.parse().unwrap_or(0)),
                Some(("outbound", session)) => {
                    if let Ok(session) = session.parse() {
                        let _ = self.nudges.send(session);
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether everything that was committed can be read.
    #[cfg(feature = "conformance")]
    pub(crate) fn is_caught_up(&self) -> bool {
        let committed = self.committed.load(Ordering::SeqCst);
        committed == 0 || self.readable.load(Ordering::SeqCst) > committed
    }

    fn outbound(&self) -> std::sync::MutexGuard<'_, HashSet<SessionId>> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves until `stop`, over as many connections as it takes.
    pub(crate) async fn serve(self: Arc<Self>, address: Address, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                error = self.serve_once(&address) => {
                    tracing::debug!(error = %error, "the herald's connection ended");
                }
            }
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(LATER * 4) => {}
            }
        }
    }

    async fn serve_once(&self, address: &Address) -> tokio_postgres::Error {
        let client = match self.connect(address).await {
            Ok(client) => client,
            Err(error) => return error,
        };
        let mut told = Told::default();
        // What was said while nobody listened is unknown: everybody looks once.
        self.announce();
        loop {
            if let Err(error) = self.round(&client, &mut told).await {
                return error;
            }
        }
    }

    async fn connect(&self, address: &Address) -> Result<Client, tokio_postgres::Error> {
        let (client, driver) = address.connect().await?;
        tokio::spawn(driver.drive(None));
        // Its own commits carry nothing that must be durable.
        client
            .batch_execute(&format!(
                "{SETTINGS}; set synchronous_commit = off; set statement_timeout = 5000"
            ))
            .await?;
        let row = client.query_one("select pg_backend_pid()", &[]).await?;
        self.voice.store(row.try_get(0)?, Ordering::SeqCst);
        Ok(client)
    }

    async fn round(&self, client: &Client, told: &mut Told) -> Result<(), tokio_postgres::Error> {
        self.wake.notified().await;
        let mut pause = SOON;
        loop {
            let readable = readable_below(client).await?;
            if readable > told.readable {
                told.readable = readable;
                self.readable.store(readable, Ordering::SeqCst);
                self.announce();
                pause = SOON;
            }
            let untold = self.tell_others(client, told).await?;
            let wait = if readable <= self.committed.load(Ordering::SeqCst) {
                pause
            } else if untold {
                APART
            } else {
                return Ok(());
            };
            // Whatever commits next may be what held the log back.
            let _ = tokio::time::timeout(wait, self.wake.notified()).await;
            pause = (pause * 2).min(LATER);
        }
    }

    fn announce(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    /// `true`: there is more to say, and it is too early for it.
    async fn tell_others(&self, client: &Client, told: &mut Told) -> Result<bool, tokio_postgres::Error> {
        let newest = self.committed.load(Ordering::SeqCst);
        if newest <= told.newest && self.outbound().is_empty() {
            return Ok(false);
        }
        if told.at.is_some_and(|at| at.elapsed() < APART) {
            return Ok(true);
        }
        (told.newest, told.at) = (newest, Some(Instant::now()));
        let mut words = vec![format!("events {newest}")];
        words.extend(self.some_outbound().iter().map(|session| format!("outbound {session}")));
        let payload = words.join("\n");
        let sql = "select pg_notify($1, $2)";
        client.query(sql, &[&CHANNEL, &payload]).await?;
        Ok(!self.outbound().is_empty())
    }

    fn some_outbound(&self) -> Vec<SessionId> {
        let mut outbound = self.outbound();
        let some: Vec<_> = outbound.iter().take(NAMED).copied().collect();
        for session in &some {
            outbound.remove(session);
        }
        some
    }
}

/// What was said already.
#[derive(Default)]
struct Told {
    readable: u64,
    newest: u64,
    at: Option<Instant>,
}

/// Events of transactions below this number can be read.
async fn readable_below(client: &Client) -> Result<u64, tokio_postgres::Error> {
    let sql = "select pg_snapshot_xmin(pg_current_snapshot())::text";
    let text: String = client.query_one(sql, &[]).await?.try_get(0)?;
    Ok(text.parse().unwrap_or(0))
}
