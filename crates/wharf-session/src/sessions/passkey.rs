//! Linking an account that has a passkey.

use std::time::Duration;

use tokio::sync::watch;
use wharf_model::{CloseReason, SessionId, SessionState, WorkspaceId};

use super::Sessions;
use crate::error::SessionError;
use crate::live::{Live, PasskeyStep};
use crate::port::{PasskeyAssertion, PasskeyError};
use crate::registry::Order;

/// How long the phone may take until both sides have a code.
const PATIENCE: Duration = Duration::from_secs(20);

impl Sessions {
    /// What is asked of the account's passkey now.
    ///
    /// # Errors
    /// [`SessionError::Passkey`] when nothing is, [`SessionError::NotFound`], or storage failed.
    pub async fn passkey(&self, workspace: WorkspaceId, id: SessionId) -> Result<PasskeyStep, SessionError> {
        let live = self.watch(workspace, id).await?;
        let step = live.borrow().passkey.clone();
        step.ok_or_else(|| PasskeyError::NotAsked.into())
    }

    /// Gives WhatsApp what the passkey signed. Returns the code that the phone must show as well.
    ///
    /// # Errors
    /// [`SessionError::Passkey`], [`SessionError::NotLinkable`] when the link came to nothing, [`SessionError::NotFound`],
    /// or storage failed.
    pub async fn answer_passkey(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        assertion: PasskeyAssertion,
    ) -> Result<String, SessionError> {
        let slot = self.slot(workspace, id).await?;
        let mut live = slot.live.subscribe();
        let answered = async {
            slot.order(Order::AnswerPasskey(assertion), &self.by).await?;
            shown(&mut live).await
        };
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.unwrap_or(Err(SessionError::NotLinkable(CloseReason::LinkTimedOut)))
    }

    /// Goes on with the link, after a person saw that both codes are the same.
    ///
    /// # Errors
    /// [`SessionError::Passkey`], [`SessionError::NotFound`], or storage failed.
    pub async fn confirm_passkey(&self, workspace: WorkspaceId, id: SessionId) -> Result<(), SessionError> {
        let slot = self.slot(workspace, id).await?;
        slot.order(Order::ConfirmPasskey, &self.by).await
    }
}

/// The code, once both sides have one.
async fn shown(live: &mut watch::Receiver<Live>) -> Result<String, SessionError> {
    let settled = |live: &Live| {
        let has_code = matches!(live.passkey, Some(PasskeyStep::Compare(_)));
        has_code || !matches!(live.state, SessionState::Pending(_)) || live.deleted
    };
    let live = live.wait_for(settled).await.map_err(|_| SessionError::Stopping)?;
    match &live.passkey {
        Some(PasskeyStep::Compare(code)) => Ok(code.clone()),
        _ if live.deleted => Err(SessionError::NotFound),
        _ => Err(live
            .state
            .reason()
            .map_or(SessionError::AlreadyLinked, SessionError::NotLinkable)),
    }
}
