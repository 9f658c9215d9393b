//! Texts of messages with codes that workspaces wrote themselves, by their names and languages. Sealed with the workspace's
//! key: they say whose they are.

use wharf_model::{Timestamp, WorkspaceId};

use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::{Blind, Place, Sealed, WorkspaceKeys};
use crate::unit::tx::{ReadTx, Tx};

/// A text to be saved.
#[derive(Clone, Debug)]
pub struct NewOtpText {
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// Its name.
    pub template: String,
    /// Its language.
    pub locale: String,
    /// From [`seal`].
    pub body: Sealed,
    /// Now.
    pub at: Timestamp,
}

/// A text that a workspace wrote.
#[derive(Clone, Debug)]
pub struct OtpText {
    /// Its name.
    pub template: String,
    /// Its language.
    pub locale: String,
    body: Sealed,
    /// When it was written last.
    pub updated_at: Timestamp,
}

impl OtpText {
    /// What it says.
    ///
    /// # Errors
    /// The row was changed, or is of another workspace.
    pub fn open(&self, keys: &WorkspaceKeys) -> Result<String, StorageError> {
        let body = keys.open(&place(&self.template, &self.locale), &self.body)?;
        String::from_utf8(body).map_err(|_| StorageError::Unreadable("text"))
    }
}

/// Seals a text for its row.
///
/// # Errors
/// Sealing failed.
pub fn seal(keys: &WorkspaceKeys, template: &str, locale: &str, body: &str) -> Result<Sealed, StorageError> {
    Ok(keys.seal(&place(template, locale), body.as_bytes())?)
}

/// The key is of one workspace alone. Neither part holds a `/`.
fn place(template: &str, locale: &str) -> Place {
    Place::new("otp_texts", format!("{template}/{locale}").as_bytes(), "body")
}

/// Saves a text, in the place of the one that has its name and language. `false`: the workspace has `most` others already,
/// and nothing was saved.
///
/// # Errors
/// The database failed.
pub async fn save(tx: &mut Tx, new: &NewOtpText, most: u32) -> Result<bool, StorageError> {
    // Nobody adds one between the count and the insert.
    tx.lock(Lock::Codes(Blind::from_bytes(*new.workspace_id.as_bytes())))
        .await?;
    let sql = "select count(*) from otp_texts where workspace_id = $1 and not (template = $2 and locale = $3)";
    let found = tx
        .first(sql, params![&new.workspace_id, &new.template, &new.locale])
        .await?;
    let others: u32 = found.map(|mut row| row.take()).transpose()?.unwrap_or(0);
    if others >= most {
        return Ok(false);
    }
    tx.send(
        "insert into otp_texts (workspace_id, template, locale, body, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5)
         on conflict (workspace_id, template, locale) do update set body = excluded.body, updated_at = excluded.updated_at",
        params![&new.workspace_id, &new.template, &new.locale, &new.body, new.at],
    )
    .await?;
    Ok(true)
}

/// The texts of a workspace, by name and language.
///
/// # Errors
/// The database failed.
pub async fn list(tx: &mut ReadTx, workspace: WorkspaceId) -> Result<Vec<OtpText>, StorageError> {
    let sql = "select template, locale, body, updated_at from otp_texts where workspace_id = $1";
    let rows = tx.query(sql, params![&workspace]).await?;
    let mut texts = rows
        .into_iter()
        .map(|mut row| read(&mut row))
        .collect::<Result<Vec<_>, _>>()?;
    // Here: databases order texts by rules of their own.
    texts.sort_unstable_by(|one, other| (&one.template, &one.locale).cmp(&(&other.template, &other.locale)));
    Ok(texts)
}

/// Deletes a text. `false`: there was none.
///
/// # Errors
/// The database failed.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, template: &str, locale: &str) -> Result<bool, StorageError> {
    let sql = "delete from otp_texts where workspace_id = $1 and template = $2 and locale = $3";
    Ok(tx.execute(sql, params![&workspace, template, locale]).await? > 0)
}

fn read(row: &mut Row) -> Result<OtpText, StorageError> {
    Ok(OtpText {
        template: row.take()?,
        locale: row.take()?,
        body: row.take()?,
        updated_at: row.take()?,
    })
}
