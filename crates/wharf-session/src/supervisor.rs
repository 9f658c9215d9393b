//! Keeps the sessions that should be connected running: compares rows with actors, when nudged and every so often.
//! Start of the process, crash of an actor and take-over are one code path: a wanted row without an actor gets one.
//! Also does what is due for sessions as a whole: shredding keys, expiring messages nobody sends, clearing away.

mod housekeeping;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use wharf_model::{CloseReason, SessionId};
use wharf_storage::sessions::{self, Session};
use wharf_storage::{Ownership, StorageError};

use crate::actor::{self, End, Start};
use crate::context::Context;
use crate::error::SessionError;
use crate::live::Live;
use crate::registry::{Command, Registry, Slot};
use crate::sessions::state_of;
use crate::telemetry;

/// An actor that lived this long did not die of what killed the one before.
const STEADY: Duration = Duration::from_secs(600);

/// The handle on the supervisor and its actors.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    cx: Arc<Context>,
    registry: Arc<Registry>,
    tasks: TaskTracker,
    /// Ours alone, to wait for the end of.
    own: TaskTracker,
}

impl Supervisor {
    pub(crate) fn start(cx: Arc<Context>, registry: Arc<Registry>, tasks: &TaskTracker) -> Self {
        let supervisor = Self {
            cx,
            registry,
            tasks: tasks.clone(),
            own: TaskTracker::new(),
        };
        let loop_ = supervisor.clone();
        supervisor.spawn(async move { loop_.run().await });
        supervisor
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.own.track_future(task));
    }

    /// The session's slot, if it has an actor here.
    pub(crate) fn running(&self, session: SessionId) -> Option<Arc<Slot>> {
        self.registry.get(session)
    }

    /// Every slot that has an actor here.
    pub(crate) fn all_running(&self) -> Vec<Arc<Slot>> {
        self.registry.all()
    }

    /// The session's slot, with an actor that is started if there is none. `None` when the process stops.
    pub(crate) fn ensure(&self, row: &Session) -> Option<Arc<Slot>> {
        self.ensure_started(row, Start::Prompt)
    }

    fn ensure_started(&self, row: &Session, start: Start) -> Option<Arc<Slot>> {
        if self.cx.stopping.is_cancelled() {
            return None;
        }
        let live = Live {
            state: state_of(row),
            since: row.status_since,
            qr: None,
            pairing_code: None,
            passkey: None,
            deleted: false,
        };
        let mut inbox = None;
        let (slot, made) = self.registry.get_or_insert(row.id, || {
            let (slot, receiver) = Slot::new(row.id, row.workspace_id, live);
            inbox = Some(receiver);
            slot
        });
        if let (true, Some(inbox)) = (made, inbox) {
            let (supervisor, slot) = (self.clone(), Arc::clone(&slot));
            self.spawn(async move { supervisor.keep(slot, inbox, start).await });
        }
        Some(slot)
    }

    /// Waits until the supervisor and every actor have ended.
    pub(crate) async fn ended(&self) {
        self.own.close();
        self.own.wait().await;
    }

    async fn run(&self) {
        let mut nudges = self.cx.storage.outbound_nudges();
        self.reconcile().await;
        let every = self.cx.config.reconcile_every;
        let mut reconcile = tokio::time::interval_at(Instant::now() + every, every);
        reconcile.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.cx.stopping.cancelled() => return,
                nudge = nudges.recv() => self.pass_on(&nudge),
                _ = reconcile.tick() => self.reconcile().await,
            }
        }
    }

    /// A listener that lagged looks at every session: the rows are the truth.
    fn pass_on(&self, nudge: &Result<SessionId, RecvError>) {
        match nudge {
            Ok(session) => {
                if let Some(slot) = self.registry.get(*session) {
                    slot.outbound.notify_one();
                }
            }
            Err(RecvError::Lagged(_)) => self.registry.all().iter().for_each(|slot| slot.outbound.notify_one()),
            // Storage is closing, and so are we.
            Err(RecvError::Closed) => self.cx.stopping.cancel(),
        }
    }

    /// Starts an actor for every wanted session that has none, in the order of their rows.
    async fn reconcile(&self) {
        let wanted = self.cx.storage.read(|tx| Box::pin(sessions::wanted(tx))).await;
        match wanted {
            Ok(rows) => {
                for row in rows.iter().filter(|row| row.network == self.cx.network_kind) {
                    self.ensure_started(row, Start::Staggered);
                }
            }
            Err(error) => log_failure(
                &error,
                "The sessions could not be compared with what runs; it is tried again",
            ),
        }
        self.keep_house().await;
    }

    /// Runs one session's actor, and another one when it dies, until the session is to have none.
    async fn keep(&self, slot: Arc<Slot>, mut inbox: mpsc::Receiver<Command>, mut start: Start) {
        let mut crashes = 0;
        loop {
            let began = Instant::now();
            match self.run_actor(&slot, &mut inbox, start).await {
                Some(end) => {
                    tracing::debug!(session.id = %slot.session, "The session's actor ended: {end:?}");
                    if matches!(end, End::Deleted) {
                        slot.live.send_modify(|live| live.deleted = true);
                    }
                    break;
                }
                None if self.cx.stopping.is_cancelled() => break,
                None if began.elapsed() > STEADY => crashes = 1,
                None => crashes += 1,
            }
            start = Start::Prompt;
            let wait = wharf_model::session::backoff(crashes, CloseReason::EngineStopped, self.cx.jitter());
            if self.stops_within(wait).await {
                break;
            }
        }
        self.registry.remove(slot.session);
    }

    /// `None`: it died, or the database was lost: then it ends at once, wherever it is, and its connection with it.
    async fn run_actor(&self, slot: &Arc<Slot>, inbox: &mut mpsc::Receiver<Command>, start: Start) -> Option<End> {
        let mut ownership = self.cx.storage.ownership();
        self.until_owned(&mut ownership, inbox).await?;
        // Unwind safety: what an actor left half done in memory is dropped with it; rows are written whole.
        let actor = AssertUnwindSafe(actor::run(&self.cx, slot, inbox, start)).catch_unwind();
        let ended = tokio::select! {
            biased;
            () = is(&mut ownership, |now| now != Ownership::Held) => {
                tracing::warn!(session.id = %slot.session, "The session is stopped: the database is lost");
                return None;
            }
            ended = actor => ended,
        };
        match ended {
            Ok(Ok(end)) => Some(end),
            Ok(Err(error)) => {
                log_failure(&error, "A session could not be started; it is tried again");
                None
            }
            Err(_panic) => {
                telemetry::crashed();
                tracing::error!(session.id = %slot.session, "A session's actor panicked; it is started again");
                None
            }
        }
    }

    /// Waits until the database is ours; orders are turned away meanwhile. `None`: the process stops.
    async fn until_owned(
        &self,
        ownership: &mut watch::Receiver<Ownership>,
        inbox: &mut mpsc::Receiver<Command>,
    ) -> Option<()> {
        loop {
            tokio::select! {
                biased;
                () = is(ownership, |now| now == Ownership::Held) => return Some(()),
                () = self.cx.stopping.cancelled() => return None,
                command = inbox.recv() => {
                    // A caller that went away has no use for the answer.
                    let _ = command?.reply.send(Err(SessionError::Restarting));
                }
            }
        }
    }

    async fn stops_within(&self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.cx.stopping.cancelled()).await.is_ok()
    }
}

/// Resolves when the ownership is as wanted. Storage that is closed tells nothing more: its owner is stopping.
async fn is(ownership: &mut watch::Receiver<Ownership>, wanted: fn(Ownership) -> bool) {
    if ownership.wait_for(|now| wanted(*now)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn log_failure(error: &StorageError, sentence: &'static str) {
    let cause: &dyn std::error::Error = error;
    tracing::error!(error = cause, "{sentence}");
}
