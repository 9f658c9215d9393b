//! How a session came to be what it is.

use wharf_model::{SessionId, SessionStatus, Timestamp, WorkspaceId};

use super::StateChange;
use crate::cursor::{Page, PageRequest};
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::unit::tx::{ReadTx, Tx};

const LIST: &str = "session_history";

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The state.
    pub status: SessionStatus,
    /// When it began.
    pub at: Timestamp,
    /// The stable code of the close reason.
    pub reason: Option<String>,
    /// One sentence about what was wrong.
    pub error: Option<String>,
    /// When the next attempt was to be.
    pub next_attempt_at: Option<Timestamp>,
}

pub(crate) async fn append(tx: &mut Tx, session: SessionId, change: &StateChange) -> Result<(), StorageError> {
    tx.send(
        "insert into session_history (session_id, status, at, reason, error, next_attempt_at)
         values ($1, $2, $3, $4, $5, $6)",
        params![
            &session,
            change.status,
            change.at,
            &change.reason,
            &change.error,
            change.next_attempt_at
        ],
    )
    .await
}

/// The changes of a session's state, newest first.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn history(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    session: SessionId,
    page: &PageRequest,
) -> Result<Page<HistoryEntry>, StorageError> {
    let rows = tx
        .query(
            "select h.seq, h.status, h.at, h.reason, h.error, h.next_attempt_at
             from session_history h join sessions s on s.id = h.session_id
             where s.workspace_id = $1 and s.deleted_at is null and h.session_id = $2 and h.seq < $3
             order by h.seq desc limit $4",
            params![&workspace, &session, page.below(LIST, workspace)?, page.fetch()],
        )
        .await?;
    let entries = rows.into_iter().map(|mut row| read(&mut row));
    Ok(Page::cut(entries.collect::<Result<_, _>>()?, page, LIST, workspace))
}

fn read(row: &mut Row) -> Result<(i64, HistoryEntry), StorageError> {
    let seq = row.take()?;
    let entry = HistoryEntry {
        status: row.take()?,
        at: row.take()?,
        reason: row.take()?,
        error: row.take()?,
        next_attempt_at: row.take()?,
    };
    Ok((seq, entry))
}
