//! Data keys and their owners. A session has two: one for its signal state, which dies 24 hours after a final unlink,
//! and one for its content, which dies with the session. A workspace has one.

use std::sync::Arc;

use wharf_model::{EventId, MessageId, Random, SessionId, WorkspaceId};

use super::key::{Blind, CodeMac, KeyId, Sealed, SealingKey};
use super::{MasterKey, Place};
use crate::error::SealError;

/// Whose a data key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum KeyOwner {
    Workspace(WorkspaceId),
    Session(SessionId),
}

impl KeyOwner {
    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Workspace(id) => id.as_bytes(),
            Self::Session(id) => id.as_bytes(),
        }
    }

    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace",
            Self::Session(_) => "session",
        }
    }
}

/// What a data key seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum KeyPurpose {
    Content,
    Signal,
}

impl KeyPurpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Signal => "signal",
        }
    }
}

/// A fresh data key as its row holds it: wrapped, ready to be inserted.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    pub(crate) id: KeyId,
    pub(crate) owner: KeyOwner,
    pub(crate) purpose: KeyPurpose,
    pub(crate) wrapped: Sealed,
    /// The master key that wrapped it; a rotation meanwhile makes the insert fail instead of leaving it unreadable.
    pub(crate) master: KeyId,
}

/// An unwrapped data key with the random source that its nonces come from.
#[derive(Clone, Debug)]
pub(crate) struct DataKey {
    key: SealingKey,
    random: Arc<dyn Random>,
}

impl DataKey {
    /// A new key and its row.
    pub(crate) fn generate(
        master: &MasterKey,
        random: &Arc<dyn Random>,
        owner: KeyOwner,
        purpose: KeyPurpose,
    ) -> Result<(Self, WrappedKey), SealError> {
        let mut id = KeyId([0; KeyId::LEN]);
        random.fill(&mut id.0);
        let mut raw = zeroize::Zeroizing::new([0; 32]);
        random.fill(raw.as_mut());
        let wrapped = master.wrap(&**random, id, &raw)?;
        let key = Self {
            key: SealingKey::derive(id, &raw)?,
            random: Arc::clone(random),
        };
        Ok((
            key,
            WrappedKey {
                id,
                owner,
                purpose,
                wrapped,
                master: master.id()?,
            },
        ))
    }

    pub(crate) fn unwrap(
        master: &MasterKey,
        random: &Arc<dyn Random>,
        id: KeyId,
        wrapped: &Sealed,
    ) -> Result<Self, SealError> {
        let raw = master.unwrap(id, wrapped)?;
        Ok(Self {
            key: SealingKey::derive(id, &raw)?,
            random: Arc::clone(random),
        })
    }

    fn seal(&self, place: &Place, plaintext: &[u8]) -> Result<Sealed, SealError> {
        self.key.seal(&*self.random, place, plaintext)
    }

    fn open(&self, place: &Place, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        self.key.open(place, sealed)
    }
}

/// The keys of one session. Sealing is cheap and pure; do it before the unit of work.
#[derive(Debug)]
pub struct SessionKeys {
    session: SessionId,
    content: DataKey,
    signal: DataKey,
}

impl SessionKeys {
    pub(crate) fn new(session: SessionId, content: DataKey, signal: DataKey) -> Self {
        Self {
            session,
            content,
            signal,
        }
    }

    /// Whose keys these are.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Seals content of this session: a message, an event, a profile.
    ///
    /// # Errors
    /// See [`SealingKey::seal`].
    pub fn seal(&self, place: &Place, plaintext: &[u8]) -> Result<Sealed, SealError> {
        self.content.seal(place, plaintext)
    }

    /// Opens content of this session.
    ///
    /// # Errors
    /// See [`SealingKey::open`].
    pub fn open(&self, place: &Place, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        self.content.open(place, sealed)
    }

    /// Seals the body of a message.
    ///
    /// # Errors
    /// See [`SealingKey::seal`].
    pub fn seal_body(&self, message: MessageId, body: &[u8]) -> Result<Sealed, SealError> {
        self.seal(&Place::message(message, "body"), body)
    }

    /// Opens the body of a message.
    ///
    /// # Errors
    /// See [`SealingKey::open`].
    pub fn open_body(&self, message: MessageId, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        self.open(&Place::message(message, "body"), sealed)
    }

    /// Seals the data of an event of this session.
    ///
    /// # Errors
    /// See [`SealingKey::seal`].
    pub fn seal_event(&self, event: EventId, data: &[u8]) -> Result<Sealed, SealError> {
        self.seal(&Place::event(event), data)
    }

    /// Seals the value of a row of signal state. `key` is the stored one, see [`Self::blind_state`].
    ///
    /// # Errors
    /// See [`SealingKey::seal`].
    pub fn seal_state(&self, kind: &str, key: &[u8], value: &[u8]) -> Result<Sealed, SealError> {
        self.signal.seal(&Place::state(self.session, kind, key), value)
    }

    /// Opens the value of a row of signal state.
    ///
    /// # Errors
    /// See [`SealingKey::open`].
    pub fn open_state(&self, kind: &str, key: &[u8], sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        self.signal.open(&Place::state(self.session, kind, key), sealed)
    }

    /// What stands in the column `key` or `owner` of signal state for an address.
    pub fn blind_state(&self, kind: &str, text: &[u8]) -> Blind {
        self.signal.key.blind(kind, text)
    }

    /// What stands in an index of content for an address; chats are `blind("chat", jid)`.
    pub fn blind(&self, kind: &str, text: &str) -> Blind {
        self.content.key.blind(kind, text.as_bytes())
    }
}

/// The key of a workspace: idempotent answers, events that outlive their session.
#[derive(Debug)]
pub struct WorkspaceKeys {
    workspace: WorkspaceId,
    content: DataKey,
}

impl WorkspaceKeys {
    pub(crate) fn new(workspace: WorkspaceId, content: DataKey) -> Self {
        Self { workspace, content }
    }

    /// Whose key this is.
    pub const fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Its name in envelopes.
    pub(crate) const fn id(&self) -> KeyId {
        self.content.key.id()
    }

    /// Seals content of this workspace.
    ///
    /// # Errors
    /// See [`SealingKey::seal`].
    pub fn seal(&self, place: &Place, plaintext: &[u8]) -> Result<Sealed, SealError> {
        self.content.seal(place, plaintext)
    }

    /// Opens content of this workspace.
    ///
    /// # Errors
    /// See [`SealingKey::open`].
    pub fn open(&self, place: &Place, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        self.content.open(place, sealed)
    }

    /// Seals the data of an event that must stay readable after its session is gone.
    ///
    /// # Errors
    /// See [`SealingKey::seal`].
    pub fn seal_event(&self, event: EventId, data: &[u8]) -> Result<Sealed, SealError> {
        self.seal(&Place::event(event), data)
    }

    /// What a one-time code of this workspace is known by; see [`CodeMac`]. `parts` are what it belongs to, and the code.
    pub fn code_mac(&self, parts: &[&[u8]]) -> CodeMac {
        let workspace: &[u8] = self.workspace.as_bytes();
        self.content.key.code_mac(&[&[workspace], parts].concat())
    }

    /// What stands in an index for a text.
    pub fn blind(&self, kind: &str, text: &str) -> Blind {
        self.content.key.blind(kind, text.as_bytes())
    }
}
