//! The queue: what a session sends next.

use std::collections::{HashMap, VecDeque};

use wharf_model::{Direction, Lane, MessageId, MessageStatus, SessionId, Timestamp};

use super::draft::NewOutbound;
use super::row::{Message, columns, read, read_all};
use super::status;
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::Blind;
use crate::sessions::{Fence, check_epoch};
use crate::unit::tx::{ReadTx, Tx};

/// How many messages of a lane wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The lane.
    pub lane: Lane,
    /// How many.
    pub queued: u64,
}

/// Stores an accepted message and nudges its session after the commit.
///
/// # Errors
/// [`StorageError::Conflict`] when the id or WhatsApp's id in this chat is taken.
pub async fn insert_outbound(tx: &mut Tx, message: &NewOutbound) -> Result<(), StorageError> {
    tx.send(
        "insert into messages (id, workspace_id, session_id, direction, lane, kind, chat_index, sender_index, chat, peer,
             body, secret, metadata, whatsapp_id, status, due_at, expires_at, created_at, updated_at, template,
             locale)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18, $19, $20)",
        params![
            &message.id,
            &message.workspace_id,
            &message.session_id,
            Direction::Outbound,
            message.lane,
            message.kind,
            &message.chat_index,
            &[0; 0],
            &message.chat,
            &message.peer,
            &message.body,
            &message.secret,
            &message.metadata,
            &message.whatsapp_id,
            MessageStatus::Queued,
            message.due_at,
            message.expires_at,
            message.created_at,
            message.wording.as_ref().map(|wording| &wording.template),
            message.wording.as_ref().map(|wording| &wording.locale)
        ],
    )
    .await?;
    tx.notes().nudge(message.session_id);
    Ok(())
}

/// What may be sent now: lane by lane, in each by time, without chats that have a message in flight, without what was
/// accepted after a message of its chat and lane that waits for another try (people read in the order in which they were
/// written to), and without what has expired. Two messages of one chat can both be in the answer, in the order in which
/// they were accepted; the second one's [`mark_sending`] says no while the first is in flight.
///
/// # Errors
/// The database failed.
pub async fn next_outbound(
    tx: &mut ReadTx,
    session: SessionId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Message>, StorageError> {
    let limit = limit.clamp(1, 1000) as usize;
    let mut messages = Vec::new();
    for lane in Lane::ALL {
        // A statement per lane: each is one range of the index, where one for all would read every future row.
        let missing = i64::try_from(limit - messages.len()).unwrap_or(1);
        let rows = tx.query(NEXT, params![&session, lane, now, missing]).await?;
        messages.extend(in_order_of_acceptance(rows)?);
        if messages.len() >= limit {
            break;
        }
    }
    Ok(messages)
}

/// Reads rows that are ordered by time; those of one chat trade places until they stand in the order of acceptance. While
/// the clock goes forward they do so anyway; where it went back, the later one has the earlier time.
fn in_order_of_acceptance(rows: Vec<Row>) -> Result<Vec<Message>, StorageError> {
    let mut rows = rows
        .into_iter()
        .map(|mut row| read(&mut row))
        .collect::<Result<Vec<_>, _>>()?;
    if rows.is_sorted_by_key(|(seq, _)| *seq) {
        return Ok(rows.into_iter().map(|(_, message)| message).collect());
    }
    let places: Vec<Blind> = rows.iter().map(|(_, message)| message.chat_index).collect();
    rows.sort_by_key(|(seq, _)| *seq);
    let mut chats: HashMap<Blind, VecDeque<Message>> = HashMap::new();
    for (_, message) in rows {
        chats.entry(message.chat_index).or_default().push_back(message);
    }
    let next = |chat: &Blind| chats.get_mut(chat).and_then(VecDeque::pop_front);
    Ok(places.iter().filter_map(next).collect())
}

const NEXT: &str = concat!(
    "select ",
    columns!(),
    " from messages m
      where session_id = $1 and lane = $2 and status = 'queued' and due_at <= $3
        and (expires_at is null or expires_at > $3)
        and not exists (select 1 from messages f
            where f.session_id = m.session_id and f.chat_index = m.chat_index and f.status = 'sending'
              and f.body is not null)
        and not exists (select 1 from messages w
            where w.session_id = m.session_id and w.lane = m.lane and w.chat_index = m.chat_index and w.seq < m.seq
              and w.status = 'queued' and w.retry_at is not null)
      order by due_at, seq limit $4"
);

/// When the next message that waits for its time is due, so that an idle actor knows how long to sleep.
///
/// # Errors
/// The database failed.
pub async fn next_due_at(
    tx: &mut ReadTx,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<Timestamp>, StorageError> {
    let mut earliest = None;
    for lane in Lane::ALL {
        let sql =
            "select due_at from messages where session_id = $1 and lane = $2 and status = 'queued' and due_at > $3
                   order by due_at limit 1";
        if let Some(mut row) = tx.first(sql, params![&session, lane, now]).await? {
            let due: Timestamp = row.take()?;
            earliest = Some(earliest.map_or(due, |earlier: Timestamp| earlier.min(due)));
        }
    }
    Ok(earliest)
}

/// Whether something waits until after `ahead` although it was to go at once: it was accepted before the clock was set
/// back. Reads what has a time of its own, too, until it finds such a row.
///
/// # Errors
/// The database failed.
pub async fn has_stranded(tx: &mut ReadTx, session: SessionId, ahead: Timestamp) -> Result<bool, StorageError> {
    for lane in Lane::ALL {
        let sql = "select seq from messages
             where session_id = $1 and lane = $2 and status = 'queued' and due_at > $3 and retry_at is null
                 and due_at in (created_at, updated_at) limit 1";
        if tx.first(sql, params![&session, lane, ahead]).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// After the clock was set back: what was to go at once when it was accepted goes now, and not when the clock comes to
/// that time again. All of it gets one time, so that it goes in the order of acceptance, whatever the clock said then.
/// What was given a time by its caller keeps it. Writes every row of the queue: O(queued).
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn release_stranded(tx: &mut Tx, fence: &Fence, now: Timestamp) -> Result<u64, StorageError> {
    check_epoch(tx, fence).await?;
    tx.lock(Lock::Messages(fence.session)).await?;
    let mut released = 0;
    for lane in Lane::ALL {
        // What an earlier release gave its time has it from `updated_at`.
        let sql = "update messages set due_at = $3, updated_at = $3
             where session_id = $1 and lane = $2 and status = 'queued' and retry_at is null
                 and due_at in (created_at, updated_at) and due_at <> $3";
        released += tx.execute(sql, params![&fence.session, lane, now]).await?;
    }
    Ok(released)
}

/// Takes a queued message for sending. `false`: it is not queued any more, has expired, what it said was taken out of it,
/// or its chat has a message in flight.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn mark_sending(tx: &mut Tx, fence: &Fence, id: MessageId, now: Timestamp) -> Result<bool, StorageError> {
    check_epoch(tx, fence).await?;
    tx.lock(Lock::Messages(fence.session)).await?;
    let changed = tx
        .execute(
            "update messages set status = 'sending', attempts = attempts + 1, retry_at = null, code = null,
                 updated_at = $3
             where id = $1 and session_id = $2 and status = 'queued' and body is not null
                 and (expires_at is null or expires_at > $3)
                 and not exists (select 1 from messages f where f.session_id = $2
                     and f.chat_index = messages.chat_index and f.status = 'sending' and f.body is not null)",
            params![&id, &fence.session, now],
        )
        .await?;
    if changed == 1 {
        status::append_timeline(tx, id, MessageStatus::Sending, now, None).await?;
    }
    Ok(changed == 1)
}

/// What was handed to the engine and never acknowledged, oldest first: after a crash or a reconnect it is sent again
/// with the same ids.
///
/// # Errors
/// The database failed.
pub async fn in_flight(tx: &mut ReadTx, session: SessionId) -> Result<Vec<Message>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from messages where session_id = $1 and status = 'sending' order by seq"
    );
    read_all(tx.query(sql, params![&session]).await?)
}

/// Counts another handing over of a message that is in flight. `false`: it is not any more, or what it said was taken out of
/// it, and it must not be handed over.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn note_resent(tx: &mut Tx, fence: &Fence, id: MessageId, now: Timestamp) -> Result<bool, StorageError> {
    check_epoch(tx, fence).await?;
    let changed = tx
        .execute(
            "update messages set attempts = attempts + 1, updated_at = $3
             where id = $1 and session_id = $2 and status = 'sending' and body is not null",
            params![&id, &fence.session, now],
        )
        .await?;
    Ok(changed == 1)
}

/// Puts a message back until `retry_at`, with the code of what it waits for. One whose body was taken out of it does not wait:
/// it only comes to its end, and must not hold back what was accepted after it. `false` when it is neither queued nor in
/// flight any more.
///
/// # Errors
/// The database failed.
pub async fn postpone(
    tx: &mut Tx,
    session: SessionId,
    id: MessageId,
    retry_at: Timestamp,
    code: &str,
    now: Timestamp,
) -> Result<bool, StorageError> {
    tx.lock(Lock::Messages(session)).await?;
    let changed = tx
        .execute(
            "update messages set status = 'queued', code = $4, updated_at = $5,
                 due_at = case when body is null then $5 else cast($3 as bigint) end,
                 retry_at = case when body is null then null else cast($3 as bigint) end
             where id = $1 and session_id = $2 and status in ('queued', 'sending')",
            params![&id, &session, retry_at, code, now],
        )
        .await?;
    if changed == 0 {
        return Ok(false);
    }
    status::append_timeline(tx, id, MessageStatus::Queued, now, Some(code)).await?;
    tx.notes().nudge(session);
    Ok(true)
}

/// Ends the waiting of a chat's messages: somebody answered there, which lifts the limits that hold back a first word.
///
/// # Errors
/// The database failed.
pub async fn stop_waiting(tx: &mut Tx, session: SessionId, chat: &Blind, now: Timestamp) -> Result<(), StorageError> {
    tx.lock(Lock::Messages(session)).await?;
    // `retry_at` stays: until the message is taken it holds back what was accepted after it.
    let changed = tx
        .execute(
            "update messages set due_at = $3, retry_at = $3, updated_at = $3
             where session_id = $1 and chat_index = $2 and status = 'queued' and retry_at is not null and retry_at > $3",
            params![&session, chat, now],
        )
        .await?;
    if changed > 0 {
        tx.notes().nudge(session);
    }
    Ok(())
}

/// How many messages wait in each lane. Counts index entries: for pages and metrics, not for every send.
///
/// # Errors
/// The database failed.
pub async fn queue_depth(tx: &mut ReadTx, session: SessionId) -> Result<Vec<QueueDepth>, StorageError> {
    let sql = "select lane, count(*) from messages where session_id = $1 and status = 'queued' group by lane
               order by lane";
    let rows = tx.query(sql, params![&session]).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(QueueDepth {
                lane: row.take()?,
                queued: row.take()?,
            })
        })
        .collect()
}
