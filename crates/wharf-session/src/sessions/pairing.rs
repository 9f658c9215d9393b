//! Linking by a code that is typed into the phone.

use std::time::Duration;

use tokio::sync::watch;
use wharf_model::{CloseReason, PendingStep, Phone, SessionId, SessionState, WorkspaceId};

use super::Sessions;
use crate::error::SessionError;
use crate::live::{Live, PairingCode};
use crate::port::PairingError;
use crate::registry::Order;

/// How long a session may take to get to where it can be linked, and WhatsApp to give a code.
const PATIENCE: Duration = Duration::from_secs(45);

impl Sessions {
    /// A code for the owner of the number to type into his phone; a session that is off is connected for it. Numbers that
    /// are written in two ways are tried in both. Returns once WhatsApp has accepted the code; one that was given before
    /// stops working.
    ///
    /// # Errors
    /// [`SessionError::AlreadyLinked`], [`SessionError::Pairing`], [`SessionError::NotLinkable`],
    /// [`SessionError::NotFound`], or it could not be started.
    pub async fn pairing_code(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        phone: &Phone,
    ) -> Result<PairingCode, SessionError> {
        let given = tokio::time::timeout(PATIENCE, self.ask_for_code(workspace, id, phone)).await;
        given.unwrap_or(Err(SessionError::NotLinkable(CloseReason::LinkTimedOut)))
    }

    async fn ask_for_code(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        phone: &Phone,
    ) -> Result<PairingCode, SessionError> {
        self.check_unlinked(workspace, id).await?;
        let slot = self.slot(workspace, id).await?;
        slot.order(Order::Connect, &self.by).await?;
        let mut live = slot.live.subscribe();
        linkable(&mut live).await?;
        let before = live.borrow().pairing_code.clone();
        let asked = slot.order(Order::PairingCode(phone.clone()), &self.by).await;
        match (asked, phone.other_spelling()) {
            (Err(SessionError::Pairing(PairingError::Refused)), Some(other)) => {
                slot.order(Order::PairingCode(other), &self.by).await?;
            }
            (asked, _) => asked?,
        }
        shown(&mut live, before.as_ref()).await
    }

    /// Connecting a linked session would log it in, and never show a code.
    async fn check_unlinked(&self, workspace: WorkspaceId, id: SessionId) -> Result<(), SessionError> {
        let row = self.row(workspace, id).await?;
        if row.unlinked_at.is_none() && self.is_linked(&row).await? {
            return Err(SessionError::AlreadyLinked);
        }
        Ok(())
    }
}

/// Waits until the connection waits for a person.
async fn linkable(live: &mut watch::Receiver<Live>) -> Result<(), SessionError> {
    let settled = |live: &Live| {
        !matches!(
            live.state,
            SessionState::Pending(PendingStep::Connecting) | SessionState::NotStarted
        ) || live.deleted
    };
    let live = live.wait_for(settled).await.map_err(|_| SessionError::Stopping)?;
    match live.state {
        _ if live.deleted => Err(SessionError::NotFound),
        SessionState::Pending(_) => Ok(()),
        SessionState::Disconnected { reason, .. } | SessionState::AuthFailed { reason } => {
            Err(SessionError::NotLinkable(reason))
        }
        SessionState::NotStarted | SessionState::Authenticated | SessionState::Ready => {
            Err(SessionError::AlreadyLinked)
        }
    }
}

/// The code that WhatsApp accepted, once the actor shows it.
async fn shown(live: &mut watch::Receiver<Live>, before: Option<&PairingCode>) -> Result<PairingCode, SessionError> {
    let settled = |live: &Live| {
        let is_new = live.pairing_code.is_some() && live.pairing_code.as_ref() != before;
        is_new || !matches!(live.state, SessionState::Pending(_)) || live.deleted
    };
    let live = live.wait_for(settled).await.map_err(|_| SessionError::Stopping)?;
    match &live.pairing_code {
        Some(code) => Ok(code.clone()),
        None if live.deleted => Err(SessionError::NotFound),
        None => Err(live
            .state
            .reason()
            .map_or(SessionError::AlreadyLinked, SessionError::NotLinkable)),
    }
}
