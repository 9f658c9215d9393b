//! How far a message has come. Status never goes back, whatever order receipts arrive in.

use std::collections::{BTreeSet, HashMap};

use wharf_model::{MessageId, MessageStatus, SessionId, Timestamp, WorkspaceId};

use super::row::{Message, columns, read, read_all};
use crate::driver::Sql;
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::json;
use crate::postgres::lock::Lock;
use crate::unit::tx::{ReadTx, Tx};

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// What it was.
    pub from: MessageStatus,
    /// The message as it is now: whoever tells of the step need not look it up.
    pub message: Message,
}

/// What WhatsApp says of a message that it names.
#[derive(Clone, Debug)]
pub struct NamedStep {
    /// WhatsApp's id of the message. In whichever chat it was used: receipts may name a person by another address than
    /// the one that was sent to.
    pub whatsapp_id: String,
    /// How far it has come.
    pub to: MessageStatus,
    /// When.
    pub at: Timestamp,
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
    let sql = concat!(
        "select ",
        columns!(),
        " from messages where id = $1 and session_id = $2"
    );
    let Some(mut row) = tx.first(sql, params![&id, &session]).await? else {
        return Ok(None);
    };
    let (_, message) = read(&mut row)?;
    step(tx, message, to, at, code).await
}

/// Moves outbound messages on, in the order of the steps; see [`advance`]. The messages are looked up together, and
/// nothing else is waited for: on a server a batch takes one round trip besides its commit, however long it is.
///
/// # Errors
/// The database failed.
pub async fn advance_named(
    tx: &mut Tx,
    session: SessionId,
    steps: &[NamedStep],
) -> Result<Vec<Option<Advance>>, StorageError> {
    tx.lock(Lock::Messages(session)).await?;
    let mut messages = named(tx, session, steps).await?;
    let mut taken = Vec::with_capacity(steps.len());
    for one in steps {
        let advance = match messages.get(&one.whatsapp_id) {
            Some(message) => step(tx, message.clone(), one.to, one.at, None).await?,
            None => None,
        };
        if let Some(advance) = &advance {
            messages.insert(one.whatsapp_id.clone(), advance.message.clone());
        }
        taken.push(advance);
    }
    Ok(taken)
}

/// The messages that steps name, by WhatsApp's ids. Of several with one id the newest.
async fn named(tx: &mut Tx, session: SessionId, steps: &[NamedStep]) -> Result<HashMap<String, Message>, StorageError> {
    // Neither database takes a list as the other one does.
    const NAMED: Sql = Sql {
        sqlite: concat!(
            "select ",
            columns!(),
            " from messages where session_id = $1 and direction = 'outbound'
                 and whatsapp_id in (select value from json_each($2))"
        ),
        postgres: concat!(
            "select ",
            columns!(),
            " from messages where session_id = $1 and direction = 'outbound'
                 and whatsapp_id = any (array(select json_array_elements_text(cast($2 as text)::json)))"
        ),
    };
    let names: BTreeSet<_> = steps.iter().map(|step| step.whatsapp_id.as_str()).collect();
    let names = json::from_displayed(&names.into_iter().collect::<Vec<_>>());
    let mut found = Vec::new();
    for mut row in tx.query(NAMED, params![&session, &names]).await? {
        found.push(read(&mut row)?);
    }
    found.sort_unstable_by_key(|(seq, _)| *seq);
    let found = found
        .into_iter()
        .map(|(_, message)| (message.whatsapp_id.clone(), message));
    Ok(found.collect())
}

/// Takes a step. Nobody waits for the answers: the session's messages are locked, so that the row is as it was read.
async fn step(
    tx: &mut Tx,
    message: Message,
    to: MessageStatus,
    at: Timestamp,
    code: Option<&str>,
) -> Result<Option<Advance>, StorageError> {
    let from = message.status;
    if !from.accepts(to) {
        return Ok(None);
    }
    let message = moved(message, to, at, code);
    tx.send(
        "update messages set status = $2, code = $3, updated_at = $4, sent_at = $5, delivered_at = $6, read_at = $7,
             retry_at = null
         where id = $1",
        params![
            &message.id,
            to,
            code,
            at,
            message.sent_at,
            message.delivered_at,
            message.read_at
        ],
    )
    .await?;
    if implies_sent(from, to) {
        append_timeline(tx, message.id, MessageStatus::Sent, at, None).await?;
    }
    append_timeline(tx, message.id, to, at, code).await?;
    Ok(Some(Advance { from, message }))
}

/// A device that shows a message has it, and the server had it before.
fn moved(message: Message, to: MessageStatus, at: Timestamp, code: Option<&str>) -> Message {
    let (is_read, is_delivered, is_sent) = match to {
        MessageStatus::Read | MessageStatus::Played => (true, true, true),
        MessageStatus::Delivered => (false, true, true),
        MessageStatus::Sent => (false, false, true),
        _ => (false, false, false),
    };
    let first = |known: Option<Timestamp>, now: bool| known.or_else(|| now.then_some(at));
    Message {
        status: to,
        code: code.map(str::to_owned),
        updated_at: at,
        retry_at: None,
        sent_at: first(message.sent_at, is_sent),
        delivered_at: first(message.delivered_at, is_delivered),
        read_at: first(message.read_at, is_read),
        ..message
    }
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
    let sql = concat!("select ", columns!(), " from messages where id = $1");
    let mut row = tx
        .first(sql, params![&id])
        .await?
        .ok_or(StorageError::NotFound("message"))?;
    let (_, message) = read(&mut row)?;
    step(tx, message, MessageStatus::Cancelled, now, None).await
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
    let sql = concat!(
        "select ",
        columns!(),
        " from messages where session_id = $1 and status = 'queued' and expires_at is not null
             and expires_at <= $2 order by expires_at limit $3"
    );
    let rows = tx.query(sql, params![&session, now, i64::from(limit)]).await?;
    expire(tx, rows, now, code).await
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
    let sql = concat!(
        "select ",
        columns!(),
        " from messages where session_id = $1 and status = 'sending' and expires_at <= $2"
    );
    let rows = tx.query(sql, params![&session, now]).await?;
    expire(tx, rows, now, code).await
}

async fn expire(tx: &mut Tx, rows: Vec<Row>, now: Timestamp, code: &str) -> Result<Vec<Advance>, StorageError> {
    let mut ended = Vec::with_capacity(rows.len());
    for message in read_all(rows)? {
        ended.extend(step(tx, message, MessageStatus::Expired, now, Some(code)).await?);
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
    // Not `order by seq desc limit 1`: for that both databases walk the session's messages from the newest, instead of
    // looking the id up.
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
