//! What an actor writes of its session: state, history and event together, each under the session's epoch.

use std::sync::Arc;

use wharf_model::{EventId, EventKind, PendingStep, SessionId, SessionState, SessionStatus, Timestamp, WorkspaceId};
use wharf_storage::audit::{self, AuditEntry};
use wharf_storage::events::{self as log, Event};
use wharf_storage::sessions::{self, Fence, SessionProfile, StateChange, Wanted};
use wharf_storage::{Queue, Sealed, Storage, StorageError, Tx};

use crate::context::Context;
use crate::events;

/// One thing to be written. Kept by the actor until it is stored, so that a full disk delays and loses nothing.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A new state.
    State {
        /// The state before.
        before: SessionStatus,
        /// The new one.
        state: SessionState,
        /// Since when.
        at: Timestamp,
        /// More than the reason says.
        detail: Option<String>,
    },
    /// A QR is shown.
    Qr { at: Timestamp, expires_at: Timestamp },
    /// A pairing code is shown.
    PairingCode { at: Timestamp, expires_at: Timestamp },
    /// The account's passkey is asked for.
    Passkey { at: Timestamp, step: PendingStep },
    /// Whether the supervisor is to keep the session connected.
    Wanted(Wanted),
    /// Who the account is.
    Profile(SessionProfile),
    /// Which linked device this is.
    Fingerprint(String),
    /// The credentials are on their way to another program since then; `None`: that is settled.
    Moving(Option<Timestamp>),
    /// Somebody did something that the audit log tells of.
    Audited(AuditEntry),
    /// The account unlinked us (its keys go later), or the device is linked anew.
    Unlinked {
        at: Option<Timestamp>,
        shred_at: Option<Timestamp>,
    },
}

/// The writer of one session's state, under one epoch.
#[derive(Debug)]
pub(crate) struct Journal {
    cx: Arc<Context>,
    workspace: WorkspaceId,
    fence: Fence,
}

impl Journal {
    /// Makes this process the owner of the session, under a new epoch.
    pub(crate) async fn claim(
        cx: &Arc<Context>,
        workspace: WorkspaceId,
        session: SessionId,
    ) -> Result<Self, StorageError> {
        let owner = cx.owner.clone();
        let fence = cx
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { sessions::claim(tx, session, &owner, None).await })
            })
            .await?;
        Ok(Self {
            cx: Arc::clone(cx),
            workspace,
            fence,
        })
    }

    pub(crate) const fn fence(&self) -> Fence {
        self.fence
    }

    pub(crate) const fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Stores all of `changes`, or none.
    pub(crate) async fn write(&self, changes: &[Change]) -> Result<(), StorageError> {
        let mut steps = Vec::new();
        for change in changes {
            self.prepare(change, &mut steps).await?;
        }
        let (fence, workspace, now) = (self.fence, self.workspace, self.cx.clock.now());
        self.storage()
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    for step in &steps {
                        step.run(tx, &fence, workspace, now).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Everything that is to be sealed is sealed here, before the unit of work.
    async fn prepare(&self, change: &Change, steps: &mut Vec<Step>) -> Result<(), StorageError> {
        match change {
            Change::State {
                before,
                state,
                at,
                detail,
            } => {
                steps.push(Step::State(state_change(*state, *at, detail.as_deref())));
                let data = events::session_status(self.fence.session, *before, *state, detail.as_deref());
                steps.push(Step::Event(self.event(EventKind::SessionStatus, *at, &data).await?));
            }
            Change::Qr { at, expires_at } => {
                steps.push(Step::Qr(*at));
                let data = events::session_qr(self.fence.session, *expires_at);
                steps.push(Step::Event(self.event(EventKind::SessionQr, *at, &data).await?));
            }
            Change::PairingCode { at, expires_at } => {
                let data = events::session_pairing_code(self.fence.session, *expires_at);
                steps.push(Step::Event(
                    self.event(EventKind::SessionPairingCode, *at, &data).await?,
                ));
            }
            Change::Passkey { at, step } => {
                let data = events::session_passkey(self.fence.session, *step);
                steps.push(Step::Event(self.event(EventKind::SessionPasskey, *at, &data).await?));
            }
            Change::Wanted(wanted) => steps.push(Step::Wanted(*wanted)),
            Change::Profile(profile) => {
                let keys = self.storage().session_keys(self.fence.session).await?;
                steps.push(Step::Profile(profile.seal(&keys)?));
            }
            Change::Fingerprint(fingerprint) => steps.push(Step::Fingerprint(fingerprint.clone())),
            Change::Moving(since) => steps.push(Step::Moving(*since)),
            Change::Audited(entry) => steps.push(Step::Audit(entry.clone())),
            Change::Unlinked { at, shred_at } => steps.push(Step::Unlinked(*at, *shred_at)),
        }
        Ok(())
    }

    /// Sealed for the workspace: it stays readable when the session is gone.
    async fn event(&self, kind: EventKind, at: Timestamp, data: &serde_json::Value) -> Result<Event, StorageError> {
        let id = EventId::generate(&*self.cx.clock, &*self.cx.random);
        let keys = self.storage().workspace_keys(self.workspace).await?;
        Ok(Event {
            id,
            workspace_id: self.workspace,
            session_id: Some(self.fence.session),
            kind,
            data: keys.seal_event(id, data.to_string().as_bytes())?,
            created_at: at,
        })
    }

    fn storage(&self) -> &Storage {
        &self.cx.storage
    }
}

/// A change, sealed and ready for its unit of work.
enum Step {
    State(StateChange),
    Event(Event),
    Qr(Timestamp),
    Wanted(Wanted),
    Profile(Sealed),
    Fingerprint(String),
    Moving(Option<Timestamp>),
    Audit(AuditEntry),
    Unlinked(Option<Timestamp>, Option<Timestamp>),
}

impl Step {
    async fn run(
        &self,
        tx: &mut Tx,
        fence: &Fence,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        match self {
            Self::State(change) => sessions::record_state(tx, fence, change).await,
            Self::Event(event) => log::append(tx, event).await,
            Self::Qr(at) => sessions::note_qr(tx, fence, *at).await,
            Self::Wanted(wanted) => sessions::set_wanted(tx, workspace, fence.session, *wanted, now).await,
            Self::Profile(profile) => sessions::set_profile(tx, fence, Some(profile), now).await,
            Self::Fingerprint(fingerprint) => sessions::set_fingerprint(tx, fence, fingerprint).await,
            Self::Moving(since) => sessions::set_moving(tx, fence, *since).await,
            Self::Audit(entry) => audit::append(tx, Some(entry)).await,
            Self::Unlinked(at, shred_at) => sessions::set_unlinked(tx, fence, *at, *shred_at).await,
        }
    }
}

fn state_change(state: SessionState, at: Timestamp, detail: Option<&str>) -> StateChange {
    StateChange {
        status: state.status(),
        at,
        reason: state.reason().map(|reason| reason.code().to_owned()),
        error: events::error_text(state, detail),
        next_attempt_at: state.next_attempt_at(),
    }
}
