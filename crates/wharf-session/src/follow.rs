//! The port to whoever follows messages with one-time codes. Owned here, so that this crate need not know of verifications.

use std::fmt;

use async_trait::async_trait;
use wharf_model::{MessageId, MessageStatus, SessionId, Timestamp, WorkspaceId};
use wharf_storage::events::Event;
use wharf_storage::{SessionKeys, StorageError, Tx};

/// A step of a message of lane `otp`.
#[derive(Clone)]
pub struct CodeStep<'a> {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The session that sends it.
    pub session: SessionId,
    /// The message.
    pub message: MessageId,
    /// How far it has come.
    pub to: MessageStatus,
    /// When.
    pub at: Timestamp,
    /// Why it failed.
    pub code: Option<&'a str>,
    /// `to` as it was given.
    pub recipient: Option<&'a str>,
    /// The caller's own JSON.
    pub metadata: Option<&'a serde_json::Value>,
}

/// Logs are written with `Debug`: numbers of people must not reach them.
impl fmt::Debug for CodeStep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeStep")
            .field("message", &self.message)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// Follows messages of lane `otp`.
#[async_trait]
pub trait CodeFollower: fmt::Debug + Send + Sync {
    /// Called in the unit of work that takes the step: what is written commits with it, and nothing but the transaction may
    /// be awaited. `keys` are those of the session. Gives back what is to be told of it beside the message's own event.
    ///
    /// # Errors
    /// The database failed; the step is not taken then.
    async fn follow(&self, tx: &mut Tx, keys: &SessionKeys, step: &CodeStep<'_>)
    -> Result<Option<Event>, StorageError>;

    /// WhatsApp lets a session write to nobody new until then.
    fn note_time_lock(&self, session: SessionId, until: Timestamp);
}
