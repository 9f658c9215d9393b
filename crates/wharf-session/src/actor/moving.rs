//! Credentials that go to another program for good. Promises that from the first step on this process neither connects
//! nor writes signal state, so that what was exported stays what the other program goes on with.

use wharf_model::Input;
use wharf_storage::audit::Action;

use super::Actor;
use super::journal::{Change, Journal};
use crate::error::SessionError;

impl Actor {
    /// Takes the session off the network until the move is finished or cancelled. May be asked for again.
    pub(super) async fn begin_move(&mut self) -> Result<(), SessionError> {
        if self.unlinked || !self.cx.network.is_linked(self.lease()).await? {
            return Err(SessionError::NotLinked);
        }
        self.moving = true;
        self.audit(Action::MoveBegun);
        // Stored together with the stop: no start of the process finds one without the other.
        self.unsaved.push_back(Change::Moving(Some(self.cx.clock.now())));
        self.stop().await?;
        // Whatever still holds the old epoch writes nothing more.
        self.journal = Journal::claim(&self.cx, self.slot.workspace, self.slot.session).await?;
        tracing::info!(session.id = %self.slot.session, "The session's credentials are being moved; it stays off");
        Ok(())
    }

    /// The other program has them. May be asked for again: who lost the answer is told the same.
    pub(super) async fn finish_move(&mut self) -> Result<(), SessionError> {
        if !self.moving {
            let linked = !self.unlinked && self.cx.network.is_linked(self.lease()).await?;
            return if linked { Err(SessionError::NotMoving) } else { Ok(()) };
        }
        self.audit(Action::MoveConfirmed);
        self.feed(Input::Moved, None).await;
        if self.unlinked {
            return Err(SessionError::NotShredded);
        }
        tracing::info!(session.id = %self.slot.session, "The session's credentials were moved and are shredded here");
        self.stored()
    }

    /// Nobody has them but we.
    pub(super) async fn cancel_move(&mut self) -> Result<(), SessionError> {
        if !self.moving {
            return Err(SessionError::NotMoving);
        }
        self.moving = false;
        self.audit(Action::MoveCancelled);
        self.unsaved.push_back(Change::Moving(None));
        self.save().await;
        self.stored()
    }

    /// Two programs that log in as one device replace each other, and outdate each other's conversations.
    pub(super) const fn refuse_while_moving(&self) -> Result<(), SessionError> {
        if self.moving { Err(SessionError::Moving) } else { Ok(()) }
    }
}
