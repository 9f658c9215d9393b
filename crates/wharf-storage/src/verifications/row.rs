//! A verification as its row holds it, and opened.

use wharf_model::{
    ApiKeyId, MessageId, MessageStatus, SessionId, Timestamp, VerificationId, VerificationStatus, WorkspaceId,
};

use super::check::CheckResult;
use crate::driver::value::Row;
use crate::error::StorageError;
use crate::seal::{Blind, CodeMac, Place, Sealed, WorkspaceKeys};

/// A verification. Whom it is about is sealed; see [`Verification::open`].
#[derive(Clone, Debug)]
pub struct Verification {
    /// Its id.
    pub id: VerificationId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that sends its last message; `None`: nothing is sent to a test number.
    pub session_id: Option<SessionId>,
    /// The phone, blind.
    pub phone_index: Blind,
    /// What for.
    pub purpose: String,
    /// How far it has come. One that is pending may be past its time.
    pub status: VerificationStatus,
    pub(super) mac: CodeMac,
    pub(super) phone: Sealed,
    pub(super) metadata: Option<Sealed>,
    /// The text that was sent.
    pub template: String,
    /// Its language.
    pub locale: String,
    /// Digits of the code.
    pub length: u8,
    /// How many codes were tried.
    pub attempts: u32,
    /// How many may be.
    pub max_attempts: u32,
    /// How many messages were sent.
    pub sends: u32,
    /// How many may be.
    pub max_sends: u32,
    /// When the next one may be asked for.
    pub next_send_at: Timestamp,
    /// Until when the code can be checked.
    pub expires_at: Timestamp,
    /// When to tell that nothing was heard of its delivery; `None` once told.
    pub undelivered_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// The country of the phone, where it is known.
    pub country: Option<String>,
    /// The session that sent its first message, where it counts; `None`: it began as a test number, and counts nowhere.
    pub first_session_id: Option<SessionId>,
    /// The API key that made it.
    pub key_id: Option<ApiKeyId>,
}

/// The sealed fields of a verification, opened.
#[derive(Clone)]
pub struct Open {
    /// The phone in E.164.
    pub phone: String,
    /// The caller's JSON.
    pub metadata: Option<Vec<u8>>,
}

/// Logs are written with `Debug`: numbers of people must not reach them.
impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Open(***)")
    }
}

/// A message of a verification.
#[derive(Clone, Debug)]
pub struct Send {
    /// Which one, from 1.
    pub n: u32,
    /// When it was accepted.
    pub at: Timestamp,
    /// The session that sends it.
    pub session_id: SessionId,
    /// The message.
    pub message_id: MessageId,
    /// How far it has come.
    pub status: MessageStatus,
    /// Why it failed.
    pub code: Option<String>,
}

/// A code that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// When.
    pub at: Timestamp,
    /// What came of it.
    pub result: CheckResult,
}

impl Verification {
    /// Whether its code was told to nobody, because the phone is a test number.
    pub const fn is_test(&self) -> bool {
        self.session_id.is_none()
    }

    /// Opens the sealed fields.
    ///
    /// # Errors
    /// They are of another workspace, or were changed.
    pub fn open(&self, keys: &WorkspaceKeys) -> Result<Open, StorageError> {
        let phone = keys.open(&place(self.id, "phone"), &self.phone)?;
        let metadata = self.metadata.as_ref();
        Ok(Open {
            phone: String::from_utf8(phone).map_err(|_| StorageError::Unreadable("phone"))?,
            metadata: metadata
                .map(|sealed| keys.open(&place(self.id, "metadata"), sealed))
                .transpose()?,
        })
    }
}

fn place(id: VerificationId, column: &'static str) -> Place {
    Place::new("verifications", id.as_bytes(), column)
}

/// Seals a phone for its row.
///
/// # Errors
/// Sealing failed.
pub fn seal_phone(keys: &WorkspaceKeys, id: VerificationId, phone: &str) -> Result<Sealed, StorageError> {
    Ok(keys.seal(&place(id, "phone"), phone.as_bytes())?)
}

/// Seals the caller's JSON for its row.
///
/// # Errors
/// Sealing failed.
pub fn seal_metadata(keys: &WorkspaceKeys, id: VerificationId, metadata: &[u8]) -> Result<Sealed, StorageError> {
    Ok(keys.seal(&place(id, "metadata"), metadata)?)
}

/// What a code of a verification is known by. Bound to the workspace, the verification, the phone and the purpose, so that
/// it proves nothing in another row (OTP-3 of the services brief). The phone goes in as its keyed hash, which the row has.
pub fn mac_of(keys: &WorkspaceKeys, id: VerificationId, phone: Blind, purpose: &str, code: &str) -> CodeMac {
    keys.code_mac(&[id.as_bytes(), phone.as_bytes(), purpose.as_bytes(), code.as_bytes()])
}

macro_rules! columns {
    () => {
        "seq, id, workspace_id, session_id, phone_index, purpose, status, mac, phone, metadata, template, locale, length,
         attempts, max_attempts, sends, max_sends, next_send_at, expires_at, undelivered_at, created_at, finished_at,
         country, first_session_id, key_id"
    };
}
pub(super) use columns;

/// Reads a row of `columns!()`.
pub(super) fn read(row: &mut Row) -> Result<(i64, Verification), StorageError> {
    let seq = row.take()?;
    let verification = Verification {
        id: row.take()?,
        workspace_id: row.take()?,
        session_id: row.take()?,
        phone_index: row.take()?,
        purpose: row.take()?,
        status: row.take()?,
        mac: CodeMac(row.take()?),
        phone: row.take()?,
        metadata: row.take()?,
        template: row.take()?,
        locale: row.take()?,
        length: u8::try_from(row.take::<i64>()?).map_err(|_| StorageError::Unreadable("length"))?,
        attempts: row.take()?,
        max_attempts: row.take()?,
        sends: row.take()?,
        max_sends: row.take()?,
        next_send_at: row.take()?,
        expires_at: row.take()?,
        undelivered_at: row.take()?,
        created_at: row.take()?,
        finished_at: row.take()?,
        country: row.take()?,
        first_session_id: row.take()?,
        key_id: row.take()?,
    };
    Ok((seq, verification))
}

/// Reads what a statement found, if it found something.
pub(super) fn read_one(row: Option<Row>) -> Result<Option<Verification>, StorageError> {
    let found = row.map(|mut row| read(&mut row)).transpose()?;
    Ok(found.map(|(_, verification)| verification))
}
