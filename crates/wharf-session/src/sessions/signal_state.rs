//! A session's signal state, for those who take it elsewhere.

use std::sync::Arc;

use wharf_model::{SessionId, SessionStatus, WorkspaceId};
use wharf_storage::SessionKeys;
use wharf_storage::sessions::{Session, Wanted};
use wharf_storage::wa_state::{self, StateRow};

use super::{Sessions, state_of};
use crate::error::SessionError;

/// Rows as they are stored, and the keys that they are sealed with.
#[derive(Debug)]
pub struct SignalState {
    /// Opens the rows.
    pub keys: Arc<SessionKeys>,
    /// Of the kinds that were asked for, at one moment.
    pub rows: Vec<StateRow>,
}

impl Sessions {
    /// The stored signal state of a session, rows of the given kinds; none when the account unlinked it. O(rows).
    ///
    /// `at_rest` refuses a session that is connected or on its way there: its ratchets go on moving, and a copy of them
    /// is outdated before it is read.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], [`SessionError::NotAtRest`], or storage failed.
    pub async fn signal_state(
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
        let mut rows = read.await?;
        // Somebody may have connected it meanwhile.
        let row = self.row(workspace, id).await?;
        self.check_rest(&row, at_rest)?;
        // The keys of a device that the account unlinked stay for a while and open nothing.
        if row.unlinked_at.is_some() {
            rows.clear();
        }
        Ok(SignalState { keys, rows })
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
