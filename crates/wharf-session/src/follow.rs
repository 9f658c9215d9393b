//! The port to whoever follows messages with one-time codes, out and in. Owned here, so that this crate need not know of
//! verifications.

use std::fmt;

use async_trait::async_trait;
use wharf_model::{MessageId, MessageStatus, Phone, SessionId, Timestamp, WorkspaceId};
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

/// A text that came in and may prove its sender's number.
#[derive(Clone, Copy)]
pub struct ReceivedCode<'a> {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The session that got it.
    pub session: SessionId,
    /// What [`CodeFollower::looks_for`] made of it.
    pub text: &'a str,
    /// Who sent it, as WhatsApp says.
    pub sender: &'a Phone,
}

/// Logs are written with `Debug`: neither codes nor numbers of people may reach them.
impl fmt::Debug for ReceivedCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedCode")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Follows messages of lane `otp`, and texts that people send to prove their numbers.
#[async_trait]
pub trait CodeFollower: fmt::Debug + Send + Sync {
    /// Called in the unit of work that takes the step: what is written commits with it, and nothing but the transaction may
    /// be awaited. `keys` are those of the session. Gives back what is to be told of it beside the message's own event.
    ///
    /// # Errors
    /// The database failed; the step is not taken then.
    async fn follow(&self, tx: &mut Tx, keys: &SessionKeys, step: &CodeStep<'_>)
    -> Result<Option<Event>, StorageError>;

    /// What may be a code in a text that came in, in one spelling; `None`: nothing is. Called for every text, before its unit
    /// of work.
    fn looks_for(&self, text: &str) -> Option<String>;

    /// Called in the unit of work that stores a message in which [`Self::looks_for`] found something, once for each: only
    /// for what one person said to us alone, from a number that WhatsApp told. Whoever is known by his hidden id only proves
    /// nothing. For the rest as [`Self::follow`].
    ///
    /// # Errors
    /// The database failed; the message is not stored then, and comes again.
    async fn received(
        &self,
        tx: &mut Tx,
        keys: &SessionKeys,
        received: &ReceivedCode<'_>,
    ) -> Result<Option<Event>, StorageError>;

    /// WhatsApp lets a session write to nobody new until then.
    fn note_time_lock(&self, session: SessionId, until: Timestamp);
}
