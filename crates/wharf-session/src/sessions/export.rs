//! Taking a session elsewhere: its signal state as a copy, or for good.

use std::sync::Arc;

use wharf_model::{SessionId, SessionStatus, WorkspaceId};
use wharf_storage::audit::{self, Action};
use wharf_storage::sessions::{self, Session, Wanted};
use wharf_storage::wa_state::{self, StateRow};
use wharf_storage::{Queue, SessionKeys};

use super::{SessionView, Sessions, state_of};
use crate::error::SessionError;
use crate::registry::Order;

/// Rows as they are stored, and the keys that they are sealed with.
#[derive(Debug)]
pub struct SignalState {
    /// Opens the rows.
    pub keys: Arc<SessionKeys>,
    /// Of the kinds that were asked for, at one moment.
    pub rows: Vec<StateRow>,
    /// Whether the session was to be connected before it was taken off for this.
    pub was_wanted: bool,
    /// How many owners the session has had. A later export has a higher one.
    pub epoch: i64,
}

/// What an export leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// A session that goes on; the copy has no conversations, or they do not matter.
    Running,
    /// A session that rests. One that is connected or on its way there is refused: its ratchets go on moving, and a copy
    /// of them is outdated before it is read.
    Resting,
    /// A session that stays off until [`Sessions::finish_move`] or [`Sessions::cancel_move`].
    Nothing,
}

impl Sessions {
    /// The stored signal state of a session, rows of the given kinds, for another program. The session says from then on
    /// that a copy exists, or that it is being moved. O(rows).
    ///
    /// # Errors
    /// [`SessionError::NotFound`], [`SessionError::NotAtRest`], [`SessionError::NotLinked`], [`SessionError::Moving`] for
    /// a copy of what is being moved, or storage failed.
    pub async fn export(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        kinds: &'static [&'static str],
        leaving: Leaving,
    ) -> Result<SignalState, SessionError> {
        if leaving == Leaving::Nothing {
            let was_wanted = self.row(workspace, id).await?.wanted == Wanted::Connected;
            self.order(workspace, id, Order::BeginMove).await?;
            let state = self.signal_state(workspace, id, kinds, true).await?;
            return Ok(SignalState { was_wanted, ..state });
        }
        self.check_copy(workspace, id).await?;
        let state = self.signal_state(workspace, id, kinds, leaving == Leaving::Resting);
        let state = state.await?;
        let now = self.cx.clock.now();
        let entry = self.entry(workspace, Action::SessionExported, Some(id));
        let noted = self.storage().write(Queue::Normal, move |tx| {
            Box::pin(async move {
                sessions::note_export(tx, workspace, id, now).await?;
                audit::append(tx, entry.as_ref()).await
            })
        });
        noted.await?;
        Ok(state)
    }

    /// The exported state could not be handed over: the session is as it was before the export.
    ///
    /// # Errors
    /// As [`Sessions::cancel_move`] and [`Sessions::connect`].
    pub async fn give_back(&self, workspace: WorkspaceId, id: SessionId, was_wanted: bool) -> Result<(), SessionError> {
        self.cancel_move(workspace, id).await?;
        if was_wanted {
            self.connect(workspace, id).await?;
        }
        Ok(())
    }

    /// Notes that somebody's credentials were looked at, or tried at WhatsApp.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn note_validation(&self, workspace: WorkspaceId, tried: bool) -> Result<(), SessionError> {
        let action = match tried {
            true => Action::CredentialsTried,
            false => Action::CredentialsValidated,
        };
        let entry = self.entry(workspace, action, None);
        let noted = self.storage().write(Queue::Normal, move |tx| {
            Box::pin(async move { audit::append(tx, entry.as_ref()).await })
        });
        Ok(noted.await?)
    }

    /// Another program has what was exported: the keys are shredded here, and WhatsApp is not told.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], [`SessionError::NotMoving`], or the keys could not be shredded.
    pub async fn finish_move(&self, workspace: WorkspaceId, id: SessionId) -> Result<SessionView, SessionError> {
        self.order(workspace, id, Order::FinishMove).await
    }

    /// Nobody has what was exported: the session may connect again.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], [`SessionError::NotMoving`], or storage failed.
    pub async fn cancel_move(&self, workspace: WorkspaceId, id: SessionId) -> Result<SessionView, SessionError> {
        self.order(workspace, id, Order::CancelMove).await
    }

    async fn signal_state(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        kinds: &'static [&'static str],
        at_rest: bool,
    ) -> Result<SignalState, SessionError> {
        let row = self.row(workspace, id).await?;
        self.check_rest(&row, at_rest)?;
        let keys = self.keys(id).await?;
        let read = self.storage().read(move |tx| {
            Box::pin(async move {
                let mut rows = Vec::new();
                for kind in kinds {
                    rows.extend(wa_state::list(tx, id, kind).await?);
                }
                Ok(rows)
            })
        });
        let rows = read.await?;
        // Somebody may have connected it meanwhile.
        let row = self.row(workspace, id).await?;
        self.check_rest(&row, at_rest)?;
        // The keys of a device that the account unlinked stay for a while and open nothing.
        if row.unlinked_at.is_some() {
            return Err(SessionError::NotLinked);
        }
        Ok(SignalState {
            keys,
            rows,
            was_wanted: false,
            epoch: row.epoch,
        })
    }

    /// Only a session that is linked, and stays here, can be copied.
    async fn check_copy(&self, workspace: WorkspaceId, id: SessionId) -> Result<(), SessionError> {
        let row = self.row(workspace, id).await?;
        if row.moving_since.is_some() {
            return Err(SessionError::Moving);
        }
        if self.is_linked(&row).await? {
            Ok(())
        } else {
            Err(SessionError::NotLinked)
        }
    }

    fn check_rest(&self, row: &Session, wanted: bool) -> Result<(), SessionError> {
        if wanted && !self.is_at_rest(row) {
            return Err(SessionError::NotAtRest);
        }
        Ok(())
    }

    fn is_at_rest(&self, row: &Session) -> bool {
        let running = self.supervisor.running(row.id).map(|slot| slot.live.borrow().state);
        let status = running.unwrap_or_else(|| state_of(row)).status();
        let has_client = matches!(
            status,
            SessionStatus::Pending | SessionStatus::Authenticated | SessionStatus::Ready
        );
        // Without an actor the stored state is that of an earlier process.
        row.wanted == Wanted::Stopped && !(running.is_some() && has_client)
    }
}
