//! Messages with one-time codes: prepared here, stored by whoever keeps the code, in one unit of work with it.

use std::time::Duration;

use serde_json::Value;
use wharf_model::{Content, Lane, MessageId, Phone, Recipient, SessionId, SessionState, WorkspaceId};
use wharf_storage::messages::Wording;
use wharf_storage::sessions::{Session, SessionProfile};
use wharf_storage::{PageRequest, SealError, StorageError, Tx, messages, sessions};

use super::prepare::{self, PreparedMessage};
use super::{AcceptError, NewMessage, Sessions};
use crate::telemetry;

/// How many sessions are read at a time.
const AT_ONCE: u32 = 500;

/// A message with a code.
#[derive(Clone)]
pub struct NewCode {
    /// The session that is to send it.
    pub session: SessionId,
    /// Who is to get it.
    pub phone: Phone,
    /// What it says, the digits included.
    pub text: String,
    /// What it shows instead.
    pub wording: Wording,
    /// How long it may still be sent.
    pub expires_in: Duration,
    /// The caller's own JSON object.
    pub metadata: Option<Value>,
}

/// Logs are written with `Debug`: digits must not reach them.
impl std::fmt::Debug for NewCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCode")
            .field("session", &self.session)
            .field("wording", &self.wording)
            .finish_non_exhaustive()
    }
}

/// The same, sealed: all that a unit of work needs.
#[derive(Debug)]
pub struct PreparedCode {
    workspace: WorkspaceId,
    message: PreparedMessage,
}

impl PreparedCode {
    /// The message's id.
    pub const fn id(&self) -> MessageId {
        self.message.view.id
    }

    /// Stores the message and its event. The session hears of it after the commit.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when the workspace has no such session (any more), or the database failed.
    pub async fn store(&self, tx: &mut Tx) -> Result<(), StorageError> {
        let PreparedMessage {
            row, event, session, ..
        } = &self.message;
        if !sessions::exists(tx, self.workspace, *session).await? {
            return Err(StorageError::NotFound("session"));
        }
        messages::insert_outbound(tx, row).await?;
        wharf_storage::events::append(tx, event).await
    }

    /// Counts it, once it is durable.
    pub fn accepted(&self) {
        telemetry::accepted(self.message.lane);
    }
}

impl Sessions {
    /// Makes the message of a code ready to be stored. Nothing is stored yet.
    ///
    /// # Errors
    /// What is wrong with it, or with storage.
    pub async fn prepare_code(&self, workspace: WorkspaceId, new: NewCode) -> Result<PreparedCode, AcceptError> {
        let message = NewMessage {
            session_id: new.session,
            to: Recipient::Phone(new.phone),
            content: Content::text(new.text),
            lane: Lane::Otp,
            send_at: None,
            expires_in: Some(new.expires_in),
            metadata: new.metadata,
            // Whoever keeps the code counts it, as what it is.
            allowance: None,
        };
        let now = self.cx.clock.now();
        prepare::check(&message, now)?;
        let keys = self.sender(new.session).await?;
        let message = prepare::prepare(&self.cx, workspace, message, Some(new.wording), &keys, now)?;
        Ok(PreparedCode { workspace, message })
    }

    /// Whether a session of the workspace is connected now.
    pub fn can_send(&self, workspace: WorkspaceId, session: SessionId) -> bool {
        let slot = self.supervisor.running(session);
        slot.is_some_and(|slot| slot.workspace == workspace && slot.live.borrow().state == SessionState::Ready)
    }

    /// The sessions of the workspace that are connected now. Looks at every session of this process, in memory.
    pub fn that_can_send(&self, workspace: WorkspaceId) -> Vec<SessionId> {
        let slots = self.supervisor.all_running();
        let ready = slots
            .iter()
            .filter(|slot| slot.workspace == workspace && slot.live.borrow().state == SessionState::Ready);
        ready.map(|slot| slot.session).collect()
    }

    /// The number of the account that a session of the workspace is linked to, where it is known.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn own_phone(&self, workspace: WorkspaceId, session: SessionId) -> Result<Option<Phone>, StorageError> {
        let found = self
            .storage()
            .glance(move |tx| Box::pin(sessions::get(tx, workspace, session)));
        let Some(sealed) = found.await?.and_then(|row| row.profile) else {
            return Ok(None);
        };
        let keys = self.storage().session_keys(session).await?;
        let profile = SessionProfile::open(&keys, &sealed)?;
        Ok(profile.phone_number.and_then(|number| number.parse().ok()))
    }

    /// Whether the workspace has a session of this id.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn has(&self, workspace: WorkspaceId, session: SessionId) -> Result<bool, StorageError> {
        self.storage()
            .glance(move |tx| Box::pin(sessions::exists(tx, workspace, session)))
            .await
    }

    /// The phones of the accounts that the workspace's sessions are linked to. Opens the profile of every session: whoever
    /// asks often keeps the answer. A session whose profile cannot be opened is left out.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn linked_phones(&self, workspace: WorkspaceId) -> Result<Vec<Phone>, StorageError> {
        let mut phones = Vec::new();
        let mut page = PageRequest::first(AT_ONCE);
        loop {
            let wanted = page.clone();
            let found = self
                .storage()
                .read(move |tx| Box::pin(async move { sessions::list(tx, workspace, &wanted).await }))
                .await?;
            for row in &found.rows {
                match self.linked_phone(row).await {
                    Ok(phone) => phones.extend(phone),
                    // The others can send for all that.
                    Err(error @ (StorageError::Seal(_) | StorageError::Unreadable(_))) => {
                        let (id, cause) = (row.id, error);
                        tracing::warn!(session.id = %id, error.cause = ?cause, "The session's profile cannot be opened");
                    }
                    Err(error) => return Err(error),
                }
            }
            if found.next.is_none() {
                return Ok(phones);
            }
            page.after = found.next;
        }
    }

    async fn linked_phone(&self, row: &Session) -> Result<Option<Phone>, StorageError> {
        let linked = row.fingerprint.is_some() && row.unlinked_at.is_none();
        let Some(sealed) = row.profile.as_ref().filter(|_| linked) else {
            return Ok(None);
        };
        let keys = match self.storage().session_keys(row.id).await {
            // Deleted since the page was read.
            Err(StorageError::Seal(SealError::Shredded)) => return Ok(None),
            keys => keys?,
        };
        let profile = SessionProfile::open(&keys, sealed)?;
        Ok(profile.phone_number.and_then(|number| number.parse().ok()))
    }
}
