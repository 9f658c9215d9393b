//! What was asked of people to send us: found, taken back, and told of.

use std::sync::Arc;

use serde_json::Value;
use wharf_model::{
    ApiKeyId, Clock, EventId, EventKind, Random, SessionId, Timestamp, VerificationId, VerificationStatus, WorkspaceId,
};
use wharf_storage::events::{self as log, Event};
use wharf_storage::receptions::{self as rows, Open, Reception};
use wharf_storage::{Queue, SealError, SessionKeys, StorageError, Tx};

use super::{Cx, Verifications, may_know};
use crate::error::OtpError;
use crate::events::{self, Facts};
use crate::telemetry;
use crate::view::{ReceptionView, VerificationView};

/// What an id names.
#[derive(Clone, Debug)]
pub enum Found {
    /// A code that was sent.
    Send(VerificationView),
    /// A text that a person is to send.
    Receive(ReceptionView),
}

impl Found {
    /// Whether a caller that is limited to sessions (`None`: to none) and comes with a key may know of it.
    pub fn is_for(&self, allowed: Option<&[SessionId]>, key: Option<ApiKeyId>) -> bool {
        match self {
            Self::Send(view) => view.is_for(allowed, key),
            Self::Receive(view) => may_know(allowed, key, (Some(view.session_id), None)),
        }
    }
}

impl Cx {
    /// The keys of a session; `None`: it was deleted, and nobody opens what they sealed.
    pub(crate) async fn session_keys(&self, session: SessionId) -> Result<Option<Arc<SessionKeys>>, StorageError> {
        match self.storage.session_keys(session).await {
            Ok(keys) => Ok(Some(keys)),
            Err(StorageError::Seal(SealError::Shredded)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Verifications {
    /// The verification or the reception of an id.
    ///
    /// # Errors
    /// [`OtpError::NotFound`], or storage failed.
    pub async fn find(&self, workspace: WorkspaceId, id: VerificationId) -> Result<Found, OtpError> {
        match self.get(workspace, id).await {
            Ok(view) => Ok(Found::Send(view)),
            Err(OtpError::NotFound) => self.reception(workspace, id).await.map(Found::Receive),
            Err(error) => Err(error),
        }
    }

    /// Takes a reception back: its text proves nothing any more. One that was taken back before is so again.
    ///
    /// # Errors
    /// [`OtpError::NotFound`], or what it had come to.
    pub async fn cancel_reception(
        &self,
        workspace: WorkspaceId,
        id: VerificationId,
    ) -> Result<ReceptionView, OtpError> {
        let cx = Arc::clone(&self.cx);
        let session = self.reception(workspace, id).await?.session_id;
        let keys = cx.session_keys(session).await.map_err(OtpError::Storage)?;
        let (keys, now) = (keys.ok_or(OtpError::NotFound)?, cx.clock.now());
        let cancelled = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let Some(cancelled) = rows::cancel(tx, workspace, id, now).await? else {
                    return Ok(());
                };
                let teller = ReceptionTeller::new(&cx, &keys);
                teller.tell(tx, &cancelled, EventKind::OtpCancelled, now).await
            })
        });
        cancelled.await.map_err(OtpError::Storage)?;
        let view = self.reception(workspace, id).await?;
        match view.status {
            VerificationStatus::Cancelled => Ok(view),
            _ => Err(OtpError::over(view.standing())),
        }
    }

    /// One whose session was deleted is gone with it.
    async fn reception(&self, workspace: WorkspaceId, id: VerificationId) -> Result<ReceptionView, OtpError> {
        let cx = &self.cx;
        let found = cx.storage.glance(move |tx| Box::pin(rows::get(tx, workspace, id)));
        let row = found.await.map_err(OtpError::Storage)?.ok_or(OtpError::NotFound)?;
        let keys = cx.session_keys(row.session_id).await.map_err(OtpError::Storage)?;
        let keys = keys.ok_or(OtpError::NotFound)?;
        ReceptionView::new(row, &keys, cx.clock.now()).map_err(OtpError::Storage)
    }
}

/// Tells of receptions inside a unit of work. The text is in no event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceptionTeller<'a> {
    pub(crate) keys: &'a SessionKeys,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a dyn Random,
}

impl<'a> ReceptionTeller<'a> {
    pub(crate) fn new(cx: &'a Cx, keys: &'a SessionKeys) -> Self {
        Self {
            keys,
            clock: &*cx.clock,
            random: &*cx.random,
        }
    }

    /// An event about a reception, to be appended, and counted by whoever does.
    pub(crate) fn event(self, about: &Reception, kind: EventKind, at: Timestamp) -> Result<Event, StorageError> {
        let Open { phone, metadata } = about.open(self.keys)?;
        // The caller's own JSON was an object when it was stored.
        let metadata: Option<Value> = metadata.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let facts = Facts {
            id: about.id,
            status: about.status,
            session: Some(about.session_id),
            phone: phone.as_deref(),
            purpose: &about.purpose,
            metadata: metadata.as_ref(),
            at,
        };
        let id = EventId::generate(self.clock, self.random);
        Ok(Event {
            id,
            workspace_id: about.workspace_id,
            session_id: Some(about.session_id),
            kind,
            data: self
                .keys
                .seal_event(id, events::data(facts, None).to_string().as_bytes())?,
            created_at: at,
        })
    }

    pub(crate) async fn tell(
        self,
        tx: &mut Tx,
        about: &Reception,
        kind: EventKind,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        let event = self.event(about, kind, at)?;
        telemetry::happened(kind);
        log::append(tx, &event).await
    }
}
