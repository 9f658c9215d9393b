//! How far a message has come. Status never goes back, whatever order receipts arrive in.

use wharf_model::{MessageId, MessageStatus, SessionId, Timestamp, WorkspaceId};

use super::row::{Message, columns, read};
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::Blind;
use crate::unit::tx::{ReadTx, Tx};

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The message.
    pub id: MessageId,
    /// What it was.
    pub from: MessageStatus,
    /// What it is.
    pub to: MessageStatus,
}

/// Moves a message of a session on. `None` when there is no such message or it does not accept the step (it was there
/// already, or is past it): then nothing was written and no event is due.
///
/// # Errors
/// The database failed.
pub async fn advance(
    tx: &mut Tx,
    session: SessionId,
    id: MessageId,
    to: MessageStatus,
    at: Timestamp,
    code: Option<&str>,
) -> Result<Option<Advance>, StorageError> {
    tx.lock(Lock::Messages(session)).await?;
    let sql = "select status from messages where id = $1 and session_id = $2";
    let Some(mut row) = tx.first(sql, params![&id, &session]).await? else {
        return Ok(None);
    };
    step(tx, id, row.take()?, to, at, code).await
}

/// Moves an outbound message on that a receipt names. With `chat` only in that chat; without, in whichever chat the id
/// was used, because receipts may name a person by another address than the one that was sent to.
///
/// # Errors
/// The database failed.
pub async fn advance_by_whatsapp_id(
    tx: &mut Tx,
    session: SessionId,
    whatsapp_id: &str,
    chat: Option<&Blind>,
    to: MessageStatus,
    at: Timestamp,
) -> Result<Option<Advance>, StorageError> {
    tx.lock(Lock::Messages(session)).await?;
    let rows = tx
        .query(
            "select seq, id, status from messages
             where session_id = $1 and whatsapp_id = $2 and direction = 'outbound' and chat_index = coalesce($3, chat_index)",
            params![&session, whatsapp_id, chat],
        )
        .await?;
    let Some(mut row) = newest(rows)? else { return Ok(None) };
    let (id, from) = (row.take()?, row.take()?);
    step(tx, id, from, to, at, None).await
}

/// The row with the highest `seq`, its first column. Not `order by seq desc limit 1`: for that both databases walk the
/// session's messages from the newest, instead of looking the id up.
fn newest(rows: Vec<Row>) -> Result<Option<Row>, StorageError> {
    let mut newest: Option<(i64, Row)> = None;
    for mut row in rows {
        let seq = row.take()?;
        if newest.as_ref().is_none_or(|(known, _)| *known < seq) {
            newest = Some((seq, row));
        }
    }
    Ok(newest.map(|(_, row)| row))
}

async fn step(
    tx: &mut Tx,
    id: MessageId,
    from: MessageStatus,
    to: MessageStatus,
    at: Timestamp,
    code: Option<&str>,
) -> Result<Option<Advance>, StorageError> {
    if !from.accepts(to) {
        return Ok(None);
    }
    let changed = tx
        .execute(
            "update messages set status = $2, updated_at = $3, code = $4, retry_at = null,
                 sent_at = case when $2 in ('sent', 'delivered', 'read', 'played')
                     then coalesce(sent_at, $3) else sent_at end,
                 delivered_at = case when $2 in ('delivered', 'read', 'played')
                     then coalesce(delivered_at, $3) else delivered_at end,
                 read_at = case when $2 in ('read', 'played') then coalesce(read_at, $3) else read_at end
             where id = $1 and status = $5",
            params![&id, to, at, code, from],
        )
        .await?;
    if changed == 0 {
        return Ok(None);
    }
    if implies_sent(from, to) {
        append_timeline(tx, id, MessageStatus::Sent, at, None).await?;
    }
    append_timeline(tx, id, to, at, code).await?;
    Ok(Some(Advance { id, from, to }))
}

/// A receipt that overtakes the server's ack proves it: the step that it skips is taken with it, so that whoever waits
/// for `sent` sees it.
pub const fn implies_sent(from: MessageStatus, to: MessageStatus) -> bool {
    matches!(from, MessageStatus::Queued | MessageStatus::Sending)
        && matches!(
            to,
            MessageStatus::Delivered | MessageStatus::Read | MessageStatus::Played
        )
}

pub(crate) async fn append_timeline(
    tx: &mut Tx,
    id: MessageId,
    status: MessageStatus,
    at: Timestamp,
    code: Option<&str>,
) -> Result<(), StorageError> {
    tx.send(
        "insert into message_status (message_id, status, at, code) values ($1, $2, $3, $4)",
        params![&id, status, at, code],
    )
    .await
}

/// Takes a message of a workspace back that is still queued. `None` when it is too late.
///
/// # Errors
/// [`StorageError::NotFound`] when the workspace has no such message.
pub async fn cancel(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: MessageId,
    now: Timestamp,
) -> Result<Option<Advance>, StorageError> {
    let sql = "select session_id from messages where id = $1 and workspace_id = $2";
    let mut row = tx
        .first(sql, params![&id, &workspace])
        .await?
        .ok_or(StorageError::NotFound("message"))?;
    // The status is read once nobody else can change it.
    tx.lock(Lock::Messages(row.take()?)).await?;
    let sql = "select status from messages where id = $1";
    let mut row = tx
        .first(sql, params![&id])
        .await?
        .ok_or(StorageError::NotFound("message"))?;
    step(tx, id, row.take()?, MessageStatus::Cancelled, now, None).await
}

/// Ends queued messages of a session whose time ran out, at most `limit`, with the `code` that says so. The answer is
/// what an event is due for.
///
/// # Errors
/// The database failed.
pub async fn expire_due(
    tx: &mut Tx,
    session: SessionId,
    now: Timestamp,
    code: &str,
    limit: u32,
) -> Result<Vec<Advance>, StorageError> {
    tx.lock(Lock::Messages(session)).await?;
    let rows = tx
        .query(
            "select id from messages where session_id = $1 and status = 'queued' and expires_at is not null
                 and expires_at <= $2 order by expires_at limit $3",
            params![&session, now, i64::from(limit)],
        )
        .await?;
    expire(tx, rows, MessageStatus::Queued, now, code).await
}

/// Ends messages that were handed over, never acknowledged, and ran out of time. For a session that is off: one that is
/// connected may still hear the ack. There are never more of them than a session has on the wire.
///
/// # Errors
/// The database failed.
pub async fn expire_in_flight(
    tx: &mut Tx,
    session: SessionId,
    now: Timestamp,
    code: &str,
) -> Result<Vec<Advance>, StorageError> {
    tx.lock(Lock::Messages(session)).await?;
    let rows = tx
        .query(
            "select id from messages where session_id = $1 and status = 'sending' and expires_at <= $2",
            params![&session, now],
        )
        .await?;
    expire(tx, rows, MessageStatus::Sending, now, code).await
}

async fn expire(
    tx: &mut Tx,
    rows: Vec<Row>,
    from: MessageStatus,
    now: Timestamp,
    code: &str,
) -> Result<Vec<Advance>, StorageError> {
    let mut ended = Vec::with_capacity(rows.len());
    for mut row in rows {
        ended.extend(step(tx, row.take()?, from, MessageStatus::Expired, now, Some(code)).await?);
    }
    Ok(ended)
}

/// The outbound message with WhatsApp's id, accepted at `since` or later: what answers the engine's retry receipts.
///
/// # Errors
/// The database failed.
pub async fn find_by_whatsapp_id(
    tx: &mut ReadTx,
    session: SessionId,
    whatsapp_id: &str,
    since: Timestamp,
) -> Result<Option<Message>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from messages where session_id = $1 and whatsapp_id = $2 and direction = 'outbound' and created_at >= $3"
    );
    let rows = tx.query(sql, params![&session, whatsapp_id, since]).await?;
    let rows = rows
        .into_iter()
        .map(|mut row| read(&mut row))
        .collect::<Result<Vec<_>, _>>()?;
    // The highest `seq`, for the reason told at `newest`.
    Ok(rows.into_iter().max_by_key(|(seq, _)| *seq).map(|(_, message)| message))
}

/// Forgets what a message said; an OTP's digits go at its final state.
///
/// # Errors
/// The database failed.
pub async fn wipe_body(tx: &mut Tx, session: SessionId, id: MessageId) -> Result<(), StorageError> {
    tx.execute(
        "update messages set body = null where id = $1 and session_id = $2",
        params![&id, &session],
    )
    .await?;
    Ok(())
}
