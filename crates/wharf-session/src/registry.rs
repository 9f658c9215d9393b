//! The sessions that have an actor in this process, and the way to each: an inbox of orders, a watch of what it is.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot, watch};
use wharf_model::{Phone, SessionId, WorkspaceId};
use wharf_storage::audit::Requester;

use crate::actor::reports::Report;
use crate::error::SessionError;
use crate::live::Live;
use crate::port::PasskeyAssertion;

/// What an operator asks of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Be connected.
    Connect,
    /// Be off; keep the keys.
    Disconnect,
    /// Close and connect anew.
    Restart,
    /// Unlink the device and shred its keys.
    Logout,
    /// Log out, then cease to be.
    Delete,
    /// Be off, until it is settled what became of the credentials.
    BeginMove,
    /// They arrived elsewhere: shred them here.
    FinishMove,
    /// They did not: be as before.
    CancelMove,
    /// Ask WhatsApp for a pairing code for this number.
    PairingCode(Phone),
    /// Give WhatsApp what the account's passkey signed.
    AnswerPasskey(PasskeyAssertion),
    /// Both codes are the same.
    ConfirmPasskey,
    /// Read the pacing policy again.
    Reload,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub order: Order,
    /// Who wants it.
    pub by: Requester,
    pub reply: oneshot::Sender<Result<(), SessionError>>,
}

/// One session's place. It outlives crashes of its actor: orders that wait are served by the next one.
#[derive(Debug)]
pub(crate) struct Slot {
    pub session: SessionId,
    pub workspace: WorkspaceId,
    pub live: watch::Sender<Live>,
    /// There may be something to send.
    pub outbound: Notify,
    commands: mpsc::Sender<Command>,
    /// Acks and receipts that the last actor could not store.
    left: Mutex<VecDeque<Report>>,
}

/// How many orders may wait for one actor.
const INBOX: usize = 64;

impl Slot {
    pub(crate) fn new(session: SessionId, workspace: WorkspaceId, live: Live) -> (Self, mpsc::Receiver<Command>) {
        let (commands, inbox) = mpsc::channel(INBOX);
        let slot = Self {
            session,
            workspace,
            live: watch::Sender::new(live),
            outbound: Notify::new(),
            commands,
            left: Mutex::default(),
        };
        (slot, inbox)
    }

    /// For the next actor.
    pub(crate) fn leave(&self, reports: VecDeque<Report>) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).extend(reports);
    }

    /// What the last actor left.
    pub(crate) fn take_left(&self) -> VecDeque<Report> {
        std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives an order and waits until the actor has carried it out.
    pub(crate) async fn order(&self, order: Order, by: &Requester) -> Result<(), SessionError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command {
                order,
                by: by.clone(),
                reply,
            })
            .await
            .map_err(|_| self.gone_or(SessionError::Stopping))?;
        answer.await.map_err(|_| self.gone_or(SessionError::Restarting))?
    }

    /// Orders that wait behind a deletion find nothing to be carried out on.
    fn gone_or(&self, otherwise: SessionError) -> SessionError {
        if self.live.borrow().deleted {
            SessionError::NotFound
        } else {
            otherwise
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<SessionId, Arc<Slot>>>);

impl Registry {
    pub(crate) fn get(&self, session: SessionId) -> Option<Arc<Slot>> {
        self.lock().get(&session).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.lock().values().cloned().collect()
    }

    /// The session's slot, made by `make` when there is none. `true` when it was made.
    pub(crate) fn get_or_insert(&self, session: SessionId, make: impl FnOnce() -> Slot) -> (Arc<Slot>, bool) {
        let mut slots = self.lock();
        if let Some(slot) = slots.get(&session) {
            return (Arc::clone(slot), false);
        }
        let slot = Arc::new(make());
        slots.insert(session, Arc::clone(&slot));
        (slot, true)
    }

    pub(crate) fn remove(&self, session: SessionId) {
        self.lock().remove(&session);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
