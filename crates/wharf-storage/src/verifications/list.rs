//! Verifications as people look at them: one with its messages and checks, or page by page.

use wharf_model::{VerificationId, VerificationStatus, WorkspaceId};

use super::row::{Check, Send, Verification, columns, read, read_one};
use crate::cursor::{Page, PageRequest};
use crate::driver::value::params;
use crate::error::StorageError;
use crate::seal::Blind;
use crate::unit::tx::ReadTx;

const LIST: &str = "verifications";

/// Which verifications a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerificationFilter {
    /// Of this phone.
    pub phone: Option<Blind>,
    /// Of this status, as the rows have it.
    pub status: Option<VerificationStatus>,
}

/// One verification of a workspace.
///
/// # Errors
/// The database failed.
pub async fn get(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    id: VerificationId,
) -> Result<Option<Verification>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from verifications where workspace_id = $1 and id = $2"
    );
    read_one(tx.first(sql, params![&workspace, &id]).await?)
}

/// The newest verification of a phone and a purpose, whatever it has come to.
///
/// # Errors
/// The database failed.
pub async fn latest(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    phone: Blind,
    purpose: &str,
) -> Result<Option<Verification>, StorageError> {
    let sql = concat!(
        "select ",
        columns!(),
        " from verifications where workspace_id = $1 and phone_index = $2 and purpose = $3 order by seq desc limit 1"
    );
    read_one(tx.first(sql, params![&workspace, phone, purpose]).await?)
}

/// The messages of a verification, first to last.
///
/// # Errors
/// The database failed.
pub async fn sends(tx: &mut ReadTx, workspace: WorkspaceId, id: VerificationId) -> Result<Vec<Send>, StorageError> {
    let sql = "select n, at, session_id, message_id, status, code from verification_sends
               where workspace_id = $1 and verification_id = $2 order by n";
    let rows = tx.query(sql, params![&workspace, &id]).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(Send {
                n: row.take()?,
                at: row.take()?,
                session_id: row.take()?,
                message_id: row.take()?,
                status: row.take()?,
                code: row.take()?,
            })
        })
        .collect()
}

/// The codes that were tried, first to last.
///
/// # Errors
/// The database failed.
pub async fn checks(tx: &mut ReadTx, workspace: WorkspaceId, id: VerificationId) -> Result<Vec<Check>, StorageError> {
    let sql =
        "select at, result from verification_checks where workspace_id = $1 and verification_id = $2 order by seq";
    let rows = tx.query(sql, params![&workspace, &id]).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(Check {
                at: row.take()?,
                result: row.take::<String>()?.parse()?,
            })
        })
        .collect()
}

macro_rules! list_by {
    ($condition:literal) => {
        concat!(
            "select ",
            columns!(),
            " from verifications where workspace_id = $1 and seq < $2 and status = coalesce($3, status) ",
            $condition,
            " order by seq desc limit $4"
        )
    };
}

/// The verifications of a workspace, newest first. Two texts, so that each reads along an index of its own.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn list(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    filter: &VerificationFilter,
    page: &PageRequest,
) -> Result<Page<Verification>, StorageError> {
    const BY_WORKSPACE: &str = list_by!("");
    const BY_PHONE: &str = list_by!("and phone_index = $5");
    let below = page.below(LIST, workspace)?;
    let rows = match filter.phone {
        None => {
            tx.query(BY_WORKSPACE, params![&workspace, below, filter.status, page.fetch()])
                .await?
        }
        Some(phone) => {
            tx.query(BY_PHONE, params![&workspace, below, filter.status, page.fetch(), phone])
                .await?
        }
    };
    let found = rows
        .into_iter()
        .map(|mut row| read(&mut row))
        .collect::<Result<_, _>>()?;
    Ok(Page::cut(found, page, LIST, workspace))
}
