//! What a pacer asks when its session starts, and of every candidate: when the session sent lately, which chats it
//! opened, and whether anything was ever said in a chat.

use std::time::Duration;

use wharf_model::{SessionId, Timestamp, WorkspaceId};

use crate::driver::value::params;
use crate::error::StorageError;
use crate::seal::Blind;
use crate::unit::tx::ReadTx;

/// How long before it was sent a message may have been accepted and still be counted by [`chats_opened`].
const ACCEPTED_BEFORE: Duration = Duration::from_secs(24 * 60 * 60);

/// When the session's last thousand messages left, as far as that was at `since` or later.
///
/// # Errors
/// The database failed.
pub async fn sent_since(tx: &mut ReadTx, session: SessionId, since: Timestamp) -> Result<Vec<Timestamp>, StorageError> {
    let rows = tx
        .query(
            "select sent_at from (select direction, sent_at from messages where session_id = $1
                 order by seq desc limit 1000) recent
             where direction = 'outbound' and sent_at >= $2",
            params![&session, since],
        )
        .await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

/// When the session wrote to chats in which nothing had been said before, at `since` or later. Lane `otp` is left out,
/// as are messages that were accepted more than a day before `since`: the walk has to end somewhere.
///
/// # Errors
/// The database failed.
pub async fn chats_opened(
    tx: &mut ReadTx,
    session: SessionId,
    since: Timestamp,
) -> Result<Vec<Timestamp>, StorageError> {
    let rows = tx
        .query(
            "select m.sent_at from messages m
             where m.session_id = $1 and m.direction = 'outbound' and m.lane > 0 and m.sent_at >= $2
                 and m.seq > coalesce((select seq from messages where session_id = $1 and created_at < $3
                     order by seq desc limit 1), 0)
                 and not exists (select 1 from messages e where e.session_id = $1 and e.chat_index = m.chat_index
                     and e.seq < m.seq and (e.sent_at is not null or e.direction = 'inbound'))",
            params![&session, since, since - ACCEPTED_BEFORE],
        )
        .await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

/// Whether anything was ever said in a chat, either way. Looks at its first hundred messages.
///
/// # Errors
/// The database failed.
pub async fn chat_is_known(tx: &mut ReadTx, session: SessionId, chat: &Blind) -> Result<bool, StorageError> {
    let row = tx
        .first(
            "select 1 from (select direction, status from messages where session_id = $1 and chat_index = $2
                 order by seq limit 100) chat
             where direction = 'inbound' or status in ('sending', 'sent', 'delivered', 'read', 'played') limit 1",
            params![&session, chat],
        )
        .await?;
    Ok(row.is_some())
}

/// When the next queued message of a session runs out of time.
///
/// # Errors
/// The database failed.
pub async fn next_expiry_at(tx: &mut ReadTx, session: SessionId) -> Result<Option<Timestamp>, StorageError> {
    let row = tx
        .first(
            "select expires_at from messages where session_id = $1 and status = 'queued' and expires_at is not null
             order by expires_at limit 1",
            params![&session],
        )
        .await?;
    row.map(|mut row| row.take()).transpose()
}

/// When the first message of a session that was handed over and never acknowledged runs out of time.
///
/// # Errors
/// The database failed.
pub async fn next_in_flight_expiry_at(tx: &mut ReadTx, session: SessionId) -> Result<Option<Timestamp>, StorageError> {
    let row = tx
        .first(
            "select min(expires_at) from messages where session_id = $1 and status = 'sending'",
            params![&session],
        )
        .await?;
    row.map_or(Ok(None), |mut row| row.take())
}

/// The sessions that hold unsent messages whose time ran out: one look per session, for those that no actor serves.
///
/// # Errors
/// The database failed.
pub async fn sessions_with_expired(
    tx: &mut ReadTx,
    now: Timestamp,
) -> Result<Vec<(WorkspaceId, SessionId)>, StorageError> {
    let rows = tx
        .query(
            "select s.workspace_id, s.id from sessions s where s.deleted_at is null and exists (
                 select 1 from messages m where m.session_id = s.id and m.status = 'queued'
                     and m.expires_at is not null and m.expires_at <= $1
                 union all
                 select 1 from messages f where f.session_id = s.id and f.status = 'sending' and f.expires_at <= $1)",
            params![now],
        )
        .await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}
