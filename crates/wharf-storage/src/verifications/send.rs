//! Codes that are sent: the first of a verification, those after it, and what became of their messages.

use std::time::Duration;

use wharf_model::{
    ApiKeyId, Day, MessageId, MessageStatus, SessionId, Timestamp, VerificationId, VerificationStatus, WorkspaceId,
};

use super::check::forget_digits;
use super::row::{Verification, columns, read_one};
use super::stats::{self, Cell, Counter, Wait};
use crate::driver::value::params;
use crate::error::StorageError;
use crate::seal::{Blind, CodeMac, Sealed};
use crate::unit::tx::Tx;

/// A verification to be stored, with one message sent.
#[derive(Clone, Debug)]
pub struct NewVerification {
    /// Its id.
    pub id: VerificationId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that sends its message; `None`: nothing is sent to a test number, and nothing of it is counted.
    pub session_id: Option<SessionId>,
    /// The phone, blind.
    pub phone_index: Blind,
    /// What for.
    pub purpose: String,
    /// Of its code, from [`super::mac_of`].
    pub mac: CodeMac,
    /// From [`super::seal_phone`].
    pub phone: Sealed,
    /// From [`super::seal_metadata`].
    pub metadata: Option<Sealed>,
    /// The text that is sent.
    pub template: String,
    /// Its language.
    pub locale: String,
    /// Digits of the code.
    pub length: u8,
    /// How many codes may be tried.
    pub max_attempts: u32,
    /// How many messages may be sent.
    pub max_sends: u32,
    /// When the next one may be asked for.
    pub next_send_at: Timestamp,
    /// Until when the code can be checked.
    pub expires_at: Timestamp,
    /// When to tell that nothing was heard of its delivery; `None`: never.
    pub undelivered_at: Option<Timestamp>,
    /// When it is deleted.
    pub keep_until: Timestamp,
    /// Now.
    pub created_at: Timestamp,
    /// The country of the phone, where it is known.
    pub country: Option<String>,
    /// The API key that makes it.
    pub key_id: Option<ApiKeyId>,
}

impl NewVerification {
    fn cell(&self) -> Option<Cell> {
        Some(Cell {
            workspace_id: self.workspace_id,
            day: Day::of(self.created_at),
            country: self.country.clone(),
            purpose: Some(self.purpose.clone()),
            session_id: self.session_id?,
        })
    }
}

/// A new code for a verification that is pending. Its attempts stay as they are (OTP-6 of the services brief).
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The session that sends it; `None`: nothing is sent to a test number.
    pub session_id: Option<SessionId>,
    /// Of the new code.
    pub mac: CodeMac,
    /// The text that is sent.
    pub template: String,
    /// Its language.
    pub locale: String,
    /// Digits of the code.
    pub length: u8,
    /// From [`super::seal_metadata`]; `None`: it stays as it is.
    pub metadata: Option<Sealed>,
    /// When the next one may be asked for.
    pub next_send_at: Timestamp,
    /// Until when the new code can be checked.
    pub expires_at: Timestamp,
    /// When to tell that nothing was heard of its delivery; `None`: never.
    pub undelivered_at: Option<Timestamp>,
    /// When the verification is deleted.
    pub keep_until: Timestamp,
    /// Now.
    pub at: Timestamp,
}

/// A message of a verification to be stored.
#[derive(Clone, Debug)]
pub struct NewSend {
    /// Of this verification.
    pub verification_id: VerificationId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that sends it.
    pub session_id: SessionId,
    /// The message.
    pub message_id: MessageId,
    /// Which one, from 1.
    pub n: u32,
    /// Now.
    pub at: Timestamp,
    /// The phone, blind.
    pub phone_index: Blind,
    /// The phone without its last four digits, blind.
    pub prefix_index: Blind,
    /// The end user's address, blind.
    pub client_index: Option<Blind>,
    /// The API key.
    pub key_id: Option<ApiKeyId>,
}

/// What a message's step means for its verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Which one.
    pub id: VerificationId,
    /// What for.
    pub purpose: String,
    /// How far it has come.
    pub status: VerificationStatus,
    /// The message is the last one of it.
    pub is_last: bool,
}

/// Stores a verification. Its first message is stored beside it, with [`insert_send`].
///
/// # Errors
/// [`StorageError::Conflict`] when another one is pending for the phone and the purpose.
pub async fn insert(tx: &mut Tx, new: &NewVerification) -> Result<(), StorageError> {
    tx.send(
        "insert into verifications (id, workspace_id, session_id, phone_index, purpose, status, mac, phone, metadata,
             template, locale, length, max_attempts, sends, max_sends, next_send_at, expires_at, undelivered_at,
             keep_until, due_at, created_at, country, first_session_id, key_id)
         values ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9, $10, $11, $12, 1, $13, $14, $15, $16, $17, $18, $19, $20,
             $3, $21)",
        params![
            &new.id,
            &new.workspace_id,
            &new.session_id,
            &new.phone_index,
            &new.purpose,
            &new.mac.0,
            &new.phone,
            &new.metadata,
            &new.template,
            &new.locale,
            i64::from(new.length),
            new.max_attempts,
            new.max_sends,
            new.next_send_at,
            new.expires_at,
            new.undelivered_at,
            new.keep_until,
            first_due(new.undelivered_at, new.expires_at),
            new.created_at,
            new.country.as_deref(),
            &new.key_id
        ],
    )
    .await?;
    if let Some(cell) = new.cell() {
        for counter in [Counter::Created, Counter::Sends] {
            stats::count(tx, cell.clone(), counter);
        }
    }
    Ok(())
}

/// What of a verification falls due first.
fn first_due(undelivered_at: Option<Timestamp>, expires_at: Timestamp) -> Timestamp {
    undelivered_at.map_or(expires_at, |at| at.min(expires_at))
}

/// Stores a message of a verification.
///
/// # Errors
/// The database failed.
pub async fn insert_send(tx: &mut Tx, new: &NewSend) -> Result<(), StorageError> {
    tx.send(
        "insert into verification_sends (verification_id, workspace_id, session_id, message_id, n, at, phone_index,
             prefix_index, client_index, key_id, status)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            &new.verification_id,
            &new.workspace_id,
            &new.session_id,
            &new.message_id,
            new.n,
            new.at,
            &new.phone_index,
            &new.prefix_index,
            &new.client_index,
            new.key_id.as_ref(),
            MessageStatus::Queued
        ],
    )
    .await
}

/// The pending verification of a phone and a purpose; it may be past its time. Its row is locked until the commit.
///
/// # Errors
/// The database failed.
pub async fn active(
    tx: &mut Tx,
    workspace: WorkspaceId,
    phone: Blind,
    purpose: &str,
) -> Result<Option<Verification>, StorageError> {
    let sql = concat!(
        "update verifications set due_at = due_at
         where workspace_id = $1 and phone_index = $2 and purpose = $3 and status = 'pending' returning ",
        columns!()
    );
    read_one(tx.first(sql, params![&workspace, phone, purpose]).await?)
}

/// Gives a pending verification a new code, and takes the digits of the one before out of its messages: whichever of them
/// waits to be sent, or to be sent again, will not be.
///
/// # Errors
/// [`StorageError::NotFound`] when it is not pending.
pub async fn renew(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: VerificationId,
    renewal: &Renewal,
) -> Result<Verification, StorageError> {
    forget_digits(tx, workspace, id, renewal.at).await?;
    let sql = concat!(
        "update verifications set session_id = $2, mac = $3, template = $4, locale = $5, length = $6, sends = sends + 1,
             next_send_at = $7, expires_at = $8, undelivered_at = $9, keep_until = $10, due_at = $11,
             metadata = coalesce($12, metadata)
         where workspace_id = $13 and id = $1 and status = 'pending' returning ",
        columns!()
    );
    let renewed = tx
        .first(
            sql,
            params![
                &id,
                &renewal.session_id,
                &renewal.mac.0,
                &renewal.template,
                &renewal.locale,
                i64::from(renewal.length),
                renewal.next_send_at,
                renewal.expires_at,
                renewal.undelivered_at,
                renewal.keep_until,
                first_due(renewal.undelivered_at, renewal.expires_at),
                &renewal.metadata,
                &workspace
            ],
        )
        .await?;
    let renewed = read_one(renewed)?.ok_or(StorageError::NotFound("verification"))?;
    if let Some(cell) = Cell::of_send(&renewed) {
        stats::count(tx, cell, Counter::Sends);
    }
    Ok(renewed)
}

/// Notes at `now` how far a message of a verification has come. `None`: it is of none. Locks no verification: whoever ends
/// one locks it before its messages, and this is called by who has those.
///
/// # Errors
/// The database failed.
pub async fn note_status(
    tx: &mut Tx,
    message: MessageId,
    status: MessageStatus,
    code: Option<&str>,
    now: Timestamp,
) -> Result<Option<Followed>, StorageError> {
    let sql = "select workspace_id, verification_id, session_id, n, at, status from verification_sends
               where message_id = $1";
    let Some(mut row) = tx.first(sql, params![&message]).await? else {
        return Ok(None);
    };
    let (workspace_id, id): (WorkspaceId, VerificationId) = (row.take()?, row.take()?);
    let (session_id, n): (SessionId, u32) = (row.take()?, row.take()?);
    let (accepted_at, before): (Timestamp, MessageStatus) = (row.take()?, row.take()?);
    tx.send(
        "update verification_sends set status = $2, code = $3 where message_id = $1",
        params![&message, status, code],
    )
    .await?;
    let sql = "select purpose, status, sends, created_at, country, first_session_id from verifications
               where workspace_id = $1 and id = $2";
    let Some(mut row) = tx.first(sql, params![&workspace_id, &id]).await? else {
        return Ok(None);
    };
    let followed = Followed {
        id,
        purpose: row.take()?,
        status: row.take()?,
        is_last: n == row.take::<u32>()?,
    };
    let cell = Cell {
        workspace_id,
        day: Day::of(row.take()?),
        country: row.take()?,
        purpose: Some(followed.purpose.clone()),
        session_id,
    };
    // Of what began as a test number nothing counts.
    if row.take::<Option<SessionId>>()?.is_some() {
        count_steps(tx, &cell, (before, status), now.since(accepted_at));
    }
    Ok(Some(followed))
}

/// Counts the steps that a message takes, those that it skips as well: what was read has arrived.
fn count_steps(tx: &mut Tx, cell: &Cell, (before, after): (MessageStatus, MessageStatus), took: Duration) {
    let steps = [Counter::Sent, Counter::Delivered, Counter::Read];
    for counter in steps.into_iter().take(steps_to(after)).skip(steps_to(before)) {
        stats::count(tx, cell.clone(), counter);
        if counter == Counter::Delivered {
            stats::note_latency(tx, cell.workspace_id, cell.day, Wait::Delivered, took);
        }
    }
}

/// How many of the steps that are counted lead to a status.
const fn steps_to(status: MessageStatus) -> usize {
    match status {
        MessageStatus::Sent => 1,
        MessageStatus::Delivered => 2,
        MessageStatus::Read | MessageStatus::Played => 3,
        _ => 0,
    }
}
