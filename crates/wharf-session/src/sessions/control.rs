//! What an operator does with a session: orders to its actor, and a look at what it is right now.

use std::sync::Arc;

use tokio::sync::watch;
use wharf_model::{SessionId, WorkspaceId};

use super::{SessionView, Sessions};
use crate::error::SessionError;
use crate::live::{Live, QrCode};
use crate::registry::{Order, Slot};

impl Sessions {
    /// Brings a session up: a linked one connects, another one shows a QR. It is kept connected from then on.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or it could not be started.
    pub async fn connect(&self, workspace: WorkspaceId, id: SessionId) -> Result<SessionView, SessionError> {
        self.order(workspace, id, Order::Connect).await
    }

    /// Takes a session off the network and keeps it off; its keys stay.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or storage failed.
    pub async fn disconnect(&self, workspace: WorkspaceId, id: SessionId) -> Result<SessionView, SessionError> {
        self.order(workspace, id, Order::Disconnect).await
    }

    /// Closes the connection and opens a new one with a new client.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or it could not be started.
    pub async fn restart(&self, workspace: WorkspaceId, id: SessionId) -> Result<SessionView, SessionError> {
        self.order(workspace, id, Order::Restart).await
    }

    /// Unlinks the device at WhatsApp, as far as it can be reached, and shreds its keys. Messages stay.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or the keys could not be shredded.
    pub async fn logout(&self, workspace: WorkspaceId, id: SessionId) -> Result<SessionView, SessionError> {
        self.order(workspace, id, Order::Logout).await
    }

    /// Logs a session out, then deletes it with all that it sealed: messages, events, keys.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or storage failed.
    pub async fn delete(&self, workspace: WorkspaceId, id: SessionId) -> Result<(), SessionError> {
        self.slot(workspace, id).await?.order(Order::Delete, &self.by).await
    }

    /// The QR to scan now.
    ///
    /// # Errors
    /// [`SessionError::NotPending`] when there is none, [`SessionError::NotFound`], or storage failed.
    pub async fn qr(&self, workspace: WorkspaceId, id: SessionId) -> Result<QrCode, SessionError> {
        self.row(workspace, id).await?;
        let slot = self.supervisor.running(id).ok_or(SessionError::NotPending)?;
        let qr = slot.live.borrow().qr.clone();
        qr.filter(|qr| qr.expires_at > self.cx.clock.now())
            .ok_or(SessionError::NotPending)
    }

    /// What the session is right now and whatever it becomes, secrets included. Ends with [`Live::deleted`], or when
    /// the process stops.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or storage failed.
    pub async fn watch(&self, workspace: WorkspaceId, id: SessionId) -> Result<watch::Receiver<Live>, SessionError> {
        Ok(self.slot(workspace, id).await?.live.subscribe())
    }

    pub(super) async fn order(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        order: Order,
    ) -> Result<SessionView, SessionError> {
        self.slot(workspace, id).await?.order(order, &self.by).await?;
        self.get(workspace, id).await
    }

    pub(super) async fn slot(&self, workspace: WorkspaceId, id: SessionId) -> Result<Arc<Slot>, SessionError> {
        let row = self.row(workspace, id).await?;
        self.supervisor.ensure(&row).ok_or(SessionError::Stopping)
    }
}
