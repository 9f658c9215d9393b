//! Owns one session while it runs: feeds the state machine, performs what it decides, sends what waits. Promises that
//! it alone writes the session's state, that a state and its event are stored together (and tried again when the
//! database cannot take them), and that whatever ends it leaves rows from which the next one continues. Never reconnects against a permanent reason.

mod attempts;
mod clock;
mod dial;
mod drain;
mod inbox;
mod journal;
mod link;
mod moving;
mod orders;
mod outbound;
mod outbox;
mod pairing;
mod passkey;
mod refusals;
pub(crate) mod reports;
mod restore;
mod state;
mod watchdog;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use wharf_model::{SessionState, Timestamp};
use wharf_storage::StorageError;
use wharf_storage::audit::Requester;
use wharf_storage::sessions::{SessionProfile, Wanted};

use crate::context::Context;
use crate::ledger::Ledger;
use crate::live::{PairingCode, PasskeyStep, QrCode};
use crate::port::{ClientEvent, ClientSetup};
use crate::registry::{Command, Slot};
use crate::telemetry::Share;
use attempts::Attempts;
use dial::{Dialled, Dialling};
use journal::{Change, Journal};
use link::Link;
use outbox::{Outbox, Written};
use reports::{Reports, Stored};

/// How many events of a connection are handled, and stored, together.
const BATCH: usize = 256;

/// How an actor ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The process stops.
    Stopped,
    /// The session was deleted.
    Deleted,
    /// Another owner has the session.
    Fenced,
}

/// Who starts an actor decides how patient its first dial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// One of many: a random pause first.
    Staggered,
    /// Somebody waits.
    Prompt,
}

pub(crate) struct Actor {
    cx: Arc<Context>,
    slot: Arc<Slot>,
    journal: Journal,
    ledger: Ledger,
    state: SessionState,
    since: Timestamp,
    qr: Option<QrCode>,
    pairing_code: Option<PairingCode>,
    /// When the pairing code stops working.
    code_at: Option<Instant>,
    passkey: Option<PasskeyStep>,
    attempts: Attempts,
    /// WhatsApp unlinked the device: a connect starts with fresh keys.
    unlinked: bool,
    /// What the next client is built with.
    setup: ClientSetup,
    link: Option<Link>,
    dialling: Option<Dialling>,
    dial_at: Option<Instant>,
    stable_at: Option<Instant>,
    watch_at: Option<Instant>,
    unsaved: VecDeque<Change>,
    save_at: Option<Instant>,
    outbox: Outbox,
    /// Acks and receipts that are not stored yet.
    reports: Reports,
    ready: Share,
    /// Another owner has the session.
    fenced: bool,
    /// What the order that is being carried out wants of the session, also should the process die in it.
    intent: Option<Wanted>,
    profile: SessionProfile,
    /// Which linked device this is, as far as it is known.
    fingerprint: Option<String>,
    /// Who wants what is being carried out, or wanted the connection on which an account is linked.
    by: Requester,
    /// The credentials are on their way to another program: nothing connects until that is settled.
    moving: bool,
    /// The credentials come from elsewhere and were never used here.
    is_import: bool,
    /// The random pause before the next dial, in a mass start.
    pause: Duration,
}

/// What an actor waits for.
enum Happening {
    Stop,
    Order(Option<Command>),
    Link(Vec<ClientEvent>),
    Dialled(Dialled),
    Written(Written),
    Stored(Stored),
    Nudge,
    Tick,
}

/// Runs a session's actor until the process stops, the session is deleted or another owner takes it.
///
/// # Errors
/// The database failed while starting.
pub(crate) async fn run(
    cx: &Arc<Context>,
    slot: &Arc<Slot>,
    inbox: &mut mpsc::Receiver<Command>,
    start: Start,
) -> Result<End, StorageError> {
    let Some(mut actor) = restore::actor(cx, slot, start).await? else {
        return Ok(End::Deleted);
    };
    loop {
        let happening = actor.next(inbox).await;
        if let ControlFlow::Break(end) = actor.handle(happening).await {
            return Ok(end);
        }
    }
}

impl Actor {
    /// Waits. Every arm can be given up without losing anything. First what is rare or bounded, so that a flood of
    /// events holds up no order.
    async fn next(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Happening {
        let wake = self.next_wake();
        tokio::select! {
            biased;
            () = self.cx.stopping.cancelled() => Happening::Stop,
            written = self.outbox.written() => Happening::Written(written),
            stored = self.reports.stored() => Happening::Stored(stored),
            dialled = dial::finished(&mut self.dialling) => Happening::Dialled(dialled),
            command = inbox.recv() => Happening::Order(command),
            events = happened(&mut self.link) => Happening::Link(events),
            () = self.slot.outbound.notified() => Happening::Nudge,
            () = until(wake) => Happening::Tick,
        }
    }

    async fn handle(&mut self, happening: Happening) -> ControlFlow<End> {
        match happening {
            Happening::Stop => {
                self.drain().await;
                return ControlFlow::Break(End::Stopped);
            }
            // The slot holds the sender: it cannot go while the actor runs.
            Happening::Order(None) => return ControlFlow::Break(End::Stopped),
            Happening::Order(Some(command)) => {
                if let Some(end) = self.obey(command).await {
                    return ControlFlow::Break(end);
                }
            }
            Happening::Link(events) => self.on_events(events).await,
            Happening::Dialled(dialled) => self.on_dialled(dialled).await,
            Happening::Written(written) => self.on_written(written).await,
            Happening::Stored(stored) => {
                self.on_stored(stored);
            }
            Happening::Nudge => self.outbox.nudge(),
            Happening::Tick => {}
        }
        self.on_due().await;
        self.pump().await;
        self.fenced()
    }

    /// The earliest thing that is due; `None` when nothing is: an idle session sleeps.
    fn next_wake(&self) -> Option<Instant> {
        let dues = [
            self.dial_at,
            self.stable_at,
            self.watch_at,
            self.code_at,
            self.save_at,
            self.reports.due(),
            self.outbox.due(self.is_ready()),
        ];
        dues.into_iter().flatten().min()
    }

    /// Does what is due by now.
    async fn on_due(&mut self) {
        let now = Instant::now();
        if take_due(&mut self.save_at, now) {
            self.save().await;
        }
        self.begin_reports();
        if take_due(&mut self.stable_at, now) {
            self.attempts.clear();
        }
        if take_due(&mut self.dial_at, now) {
            self.redial_when_due().await;
        }
        if take_due(&mut self.watch_at, now) {
            self.watch().await;
        }
        if take_due(&mut self.code_at, now) {
            self.on_code_lapsed().await;
        }
    }

    fn complain(&self, error: &(dyn std::error::Error + 'static), sentence: &'static str) {
        tracing::error!(session.id = %self.slot.session, error, "{sentence}");
    }

    const fn is_ready(&self) -> bool {
        matches!(self.state, SessionState::Ready)
    }
}

/// However an actor ends, what it was told and could not store is there for the next one.
impl Drop for Actor {
    fn drop(&mut self) {
        self.leave_reports();
    }
}

async fn happened(link: &mut Option<Link>) -> Vec<ClientEvent> {
    match link {
        Some(link) => link.next(BATCH).await,
        None => std::future::pending().await,
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        // A timer rounds up to the next millisecond; what is due is due.
        Some(at) if at <= Instant::now() => {}
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn take_due(due: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = due.is_some_and(|at| at <= now);
    if is_due {
        *due = None;
    }
    is_due
}

/// How long a write that failed waits before it is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(1);
