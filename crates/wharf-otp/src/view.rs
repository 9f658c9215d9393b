//! What callers of the facade see. The code is in none of it.

use std::time::Duration;

use serde_json::Value;
use wharf_model::{
    ApiKeyId, MessageId, MessageStatus, Phone, SessionId, Timestamp, VerificationId, VerificationStatus,
};
use wharf_storage::receptions::{self, Reception};
use wharf_storage::verifications::{CheckResult, Open, Send, Verification};
use wharf_storage::{SessionKeys, StorageError, WorkspaceKeys};

use crate::error::Standing;
use crate::verifications::may_know;

/// A verification, as it was at a moment.
#[derive(Clone, Debug)]
pub struct VerificationView {
    /// Its id.
    pub id: VerificationId,
    /// The session that sent its last message; `None`: nothing is sent to a test number.
    pub session_id: Option<SessionId>,
    /// The API key that made it.
    pub key_id: Option<ApiKeyId>,
    /// Whether nothing was sent, because the phone is a test number.
    pub test: bool,
    /// Whom it is about.
    pub phone: Phone,
    /// What for: one verification of a phone and a purpose is active at a time.
    pub purpose: String,
    /// How far it has come.
    pub status: VerificationStatus,
    /// The text that was sent.
    pub template: String,
    /// Its language.
    pub locale: String,
    /// Digits of the code.
    pub length: u8,
    /// The caller's own JSON.
    pub metadata: Option<Value>,
    /// How many codes may still be tried.
    pub attempts_remaining: u32,
    /// How many messages may still be asked for.
    pub sends_remaining: u32,
    /// How long until the next message may be asked for; zero when it is over.
    pub next_send_in: Duration,
    /// How long the code can still be checked; zero when it is over.
    pub expires_in: Duration,
    /// Until when the code can be checked.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the right code came.
    pub approved_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// Every message; only where one verification was asked for or sent.
    pub sends: Vec<SendView>,
    /// Every check; only where one verification was asked for.
    pub checks: Vec<CheckView>,
}

/// A message of a verification (OTP-17).
#[derive(Clone, Debug)]
pub struct SendView {
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
#[derive(Clone, Copy, Debug)]
pub struct CheckView {
    /// When.
    pub at: Timestamp,
    /// What came of it.
    pub result: CheckResult,
}

impl VerificationView {
    /// Opens a row. Its messages and checks are added by whoever read them.
    pub(crate) fn new(row: Verification, keys: &WorkspaceKeys, now: Timestamp) -> Result<Self, StorageError> {
        let Open { phone, metadata } = row.open(keys)?;
        let standing = Standing::of(&row, now);
        Ok(Self {
            id: row.id,
            session_id: row.session_id,
            key_id: row.key_id,
            test: row.is_test(),
            phone: phone.parse().map_err(|_| StorageError::Unreadable("phone"))?,
            purpose: row.purpose,
            status: standing.status,
            template: row.template,
            locale: row.locale,
            length: row.length,
            metadata: metadata
                .map(|bytes| serde_json::from_slice(&bytes))
                .transpose()
                .map_err(|_| StorageError::Unreadable("metadata"))?,
            attempts_remaining: standing.attempts_remaining,
            sends_remaining: standing.sends_remaining,
            next_send_in: standing.next_send_in,
            expires_in: standing.expires_in,
            expires_at: row.expires_at,
            created_at: row.created_at,
            approved_at: row.finished_at.filter(|_| row.status == VerificationStatus::Approved),
            finished_at: row.finished_at,
            sends: Vec::new(),
            checks: Vec::new(),
        })
    }

    /// The same, for problem answers.
    pub const fn standing(&self) -> Standing {
        Standing {
            id: self.id,
            status: self.status,
            attempts_remaining: self.attempts_remaining,
            sends_remaining: self.sends_remaining,
            next_send_in: self.next_send_in,
            expires_in: self.expires_in,
        }
    }
    /// Whether a caller that is limited to sessions (`None`: to none) and comes with a key may know of it.
    pub fn is_for(&self, allowed: Option<&[SessionId]>, key: Option<ApiKeyId>) -> bool {
        may_know(allowed, key, (self.session_id, self.key_id))
    }
}

/// A text that a person is to send, as it was at a moment. The text itself is told once, to whoever asked for it.
#[derive(Clone, Debug)]
pub struct ReceptionView {
    /// Its id.
    pub id: VerificationId,
    /// The session that is to get it.
    pub session_id: SessionId,
    /// Whose number is to be proved, or was; `None`: nobody has sent it.
    pub phone: Option<Phone>,
    /// What for.
    pub purpose: String,
    /// How far it has come.
    pub status: VerificationStatus,
    /// The caller's own JSON.
    pub metadata: Option<Value>,
    /// How long the text still counts; zero when it is over.
    pub expires_in: Duration,
    /// Until when the text counts.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the text came.
    pub approved_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

impl ReceptionView {
    /// Opens a row. One whose time is over counts as expired before the sweep has said so.
    pub(crate) fn new(row: Reception, keys: &SessionKeys, now: Timestamp) -> Result<Self, StorageError> {
        let receptions::Open { phone, metadata } = row.open(keys)?;
        let is_over = row.status == VerificationStatus::Pending && row.expires_at <= now;
        let status = if is_over {
            VerificationStatus::Expired
        } else {
            row.status
        };
        let expires_in = if status == VerificationStatus::Pending {
            row.expires_at.since(now)
        } else {
            Duration::ZERO
        };
        Ok(Self {
            id: row.id,
            session_id: row.session_id,
            phone: phone
                .map(|phone| phone.parse::<Phone>())
                .transpose()
                .map_err(|_| StorageError::Unreadable("phone"))?,
            purpose: row.purpose,
            status,
            metadata: metadata
                .map(|bytes| serde_json::from_slice(&bytes))
                .transpose()
                .map_err(|_| StorageError::Unreadable("metadata"))?,
            expires_in,
            expires_at: row.expires_at,
            created_at: row.created_at,
            approved_at: row.finished_at.filter(|_| row.status == VerificationStatus::Approved),
            finished_at: row.finished_at,
        })
    }

    /// For problem answers: there are no codes to be tried and no messages to be sent.
    pub const fn standing(&self) -> Standing {
        Standing {
            id: self.id,
            status: self.status,
            attempts_remaining: 0,
            sends_remaining: 0,
            next_send_in: Duration::ZERO,
            expires_in: self.expires_in,
        }
    }
}

impl From<Send> for SendView {
    fn from(send: Send) -> Self {
        Self {
            n: send.n,
            at: send.at,
            session_id: send.session_id,
            message_id: send.message_id,
            status: send.status,
            code: send.code,
        }
    }
}

impl Standing {
    /// Where a row stands: one whose time is over counts as expired before the sweep has said so.
    pub(crate) fn of(row: &Verification, now: Timestamp) -> Self {
        let is_over = row.status == VerificationStatus::Pending && row.expires_at <= now;
        let status = if is_over {
            VerificationStatus::Expired
        } else {
            row.status
        };
        let open = status == VerificationStatus::Pending;
        let while_open = |wait: Duration| if open { wait } else { Duration::ZERO };
        Self {
            id: row.id,
            status,
            attempts_remaining: if open {
                row.max_attempts.saturating_sub(row.attempts)
            } else {
                0
            },
            sends_remaining: if open {
                row.max_sends.saturating_sub(row.sends)
            } else {
                0
            },
            next_send_in: while_open(row.next_send_at.since(now)),
            expires_in: while_open(row.expires_at.since(now)),
        }
    }
}
