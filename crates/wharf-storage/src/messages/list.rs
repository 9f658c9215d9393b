//! Messages as people look at them: one with its timeline, or page by page.

use wharf_model::{Direction, MessageId, MessageStatus, SessionId, WorkspaceId};

use super::row::{Message, TimelineEntry, columns, read};
use crate::cursor::{Page, PageRequest};
use crate::driver::value::params;
use crate::error::StorageError;
use crate::seal::Blind;
use crate::unit::tx::ReadTx;

const LIST: &str = "messages";

/// Which messages a list shows.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Of this session.
    pub session: Option<SessionId>,
    /// Of this chat, from [`super::chat_index`] under the keys of `session`, which must be given too.
    pub chat: Option<Blind>,
    /// Going this way.
    pub direction: Option<Direction>,
    /// Of this status.
    pub status: Option<MessageStatus>,
}

/// One message of a workspace.
///
/// # Errors
/// The database failed.
pub async fn get(tx: &mut ReadTx, workspace: WorkspaceId, id: MessageId) -> Result<Option<Message>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from messages where id = $1 and workspace_id = $2"
    );
    let row = tx.first(sql, params![&id, &workspace]).await?;
    Ok(row
        .map(|mut row| read(&mut row))
        .transpose()?
        .map(|(_, message)| message))
}

/// What happened to a message, in order. The first line is its acceptance or arrival.
///
/// # Errors
/// The database failed.
pub async fn timeline(tx: &mut ReadTx, message: &Message) -> Result<Vec<TimelineEntry>, StorageError> {
    let first = match message.direction {
        Direction::Outbound => MessageStatus::Queued,
        Direction::Inbound => MessageStatus::Received,
    };
    let mut lines = vec![TimelineEntry {
        status: first,
        at: message.created_at,
        code: None,
    }];
    let sql = "select status, at, code from message_status where message_id = $1 order by seq";
    for mut row in tx.query(sql, params![&message.id]).await? {
        lines.push(TimelineEntry {
            status: row.take()?,
            at: row.take()?,
            code: row.take()?,
        });
    }
    Ok(lines)
}

/// The messages of a workspace, newest first. Three texts, so that each reads along an index of its own.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn list(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    filter: &MessageFilter,
    page: &PageRequest,
) -> Result<Page<Message>, StorageError> {
    let below = page.below(LIST, workspace)?;
    let (direction, status, fetch) = (filter.direction, filter.status, page.fetch());
    let rows = match (&filter.session, &filter.chat) {
        (None, _) => {
            tx.query(BY_WORKSPACE, params![&workspace, below, direction, status, fetch])
                .await?
        }
        (Some(session), None) => {
            tx.query(
                BY_SESSION,
                params![&workspace, below, direction, status, fetch, session],
            )
            .await?
        }
        (Some(session), Some(chat)) => {
            tx.query(
                BY_CHAT,
                params![&workspace, below, direction, status, fetch, session, chat],
            )
            .await?
        }
    };
    let messages = rows
        .into_iter()
        .map(|mut row| read(&mut row))
        .collect::<Result<_, _>>()?;
    Ok(Page::cut(messages, page, LIST, workspace))
}

macro_rules! list_by {
    ($condition:literal) => {
        concat!(
            "select ",
            columns!(),
            " from messages where workspace_id = $1 and seq < $2 and direction = coalesce($3, direction)
                and status = coalesce($4, status) ",
            $condition,
            " order by seq desc limit $5"
        )
    };
}

const BY_WORKSPACE: &str = list_by!("");
const BY_SESSION: &str = list_by!("and session_id = $6");
const BY_CHAT: &str = list_by!("and session_id = $6 and chat_index = $7");
