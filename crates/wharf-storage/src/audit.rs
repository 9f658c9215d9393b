//! The audit log: who did what that matters, and from where. Append-only: rows are added by the unit of work that does what
//! they tell of, and never changed. They outlive the session, the key and the plan that they tell of.

use wharf_model::{ApiKeyId, PlanId, SessionId, Timestamp, WorkspaceId};

use crate::cursor::{Page, PageRequest};
use crate::driver::value::{Row, params};
use crate::error::StorageError;
use crate::unit::tx::{ReadTx, Tx};

const LIST: &str = "audit";

/// Who asks, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The id of a key, `page`, or the name of a part of the server.
    pub who: String,
    /// The address, as far as trusted proxies tell it.
    pub address: Option<String>,
    /// The request, as answers and logs call it.
    pub request_id: Option<String>,
}

impl Requester {
    /// The server itself.
    pub fn server() -> Self {
        Self {
            who: "wharf".to_owned(),
            address: None,
            request_id: None,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// An account was linked.
    SessionLinked,
    /// Credentials from elsewhere became a session.
    SessionImported,
    /// A copy of a session's credentials was taken.
    SessionExported,
    /// A session's credentials were taken, for good.
    MoveBegun,
    /// They arrived, and were shredded here.
    MoveConfirmed,
    /// They did not.
    MoveCancelled,
    /// A session was logged out.
    SessionLoggedOut,
    /// A session was deleted.
    SessionDeleted,
    /// Somebody's credentials were tried at WhatsApp.
    CredentialsTried,
    /// Somebody's credentials were looked at.
    CredentialsValidated,
    /// A session string that is kept here was handed out.
    StringFetched,
    /// A session string that was kept here was deleted.
    StringForgotten,
    /// An API key was made.
    ApiKeyCreated,
    /// An API key got a new text.
    ApiKeyRotated,
    /// An API key was revoked.
    ApiKeyRevoked,
    /// A text of messages with codes was saved.
    OtpTextSaved,
    /// A text of messages with codes was deleted.
    OtpTextDeleted,
    /// An API key got another plan, or none.
    ApiKeyChanged,
    /// A plan was made.
    PlanCreated,
    /// A plan was changed.
    PlanChanged,
    /// A plan was deleted.
    PlanDeleted,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 21] = [
        Self::SessionLinked,
        Self::SessionImported,
        Self::SessionExported,
        Self::MoveBegun,
        Self::MoveConfirmed,
        Self::MoveCancelled,
        Self::SessionLoggedOut,
        Self::SessionDeleted,
        Self::CredentialsTried,
        Self::CredentialsValidated,
        Self::StringFetched,
        Self::StringForgotten,
        Self::ApiKeyCreated,
        Self::ApiKeyRotated,
        Self::ApiKeyRevoked,
        Self::OtpTextSaved,
        Self::OtpTextDeleted,
        Self::ApiKeyChanged,
        Self::PlanCreated,
        Self::PlanChanged,
        Self::PlanDeleted,
    ];

    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionLinked => "session.linked",
            Self::SessionImported => "session.imported",
            Self::SessionExported => "session.exported",
            Self::MoveBegun => "session.move_begun",
            Self::MoveConfirmed => "session.move_confirmed",
            Self::MoveCancelled => "session.move_cancelled",
            Self::SessionLoggedOut => "session.logged_out",
            Self::SessionDeleted => "session.deleted",
            Self::CredentialsTried => "credentials.tried",
            Self::CredentialsValidated => "credentials.validated",
            Self::StringFetched => "string.fetched",
            Self::StringForgotten => "string.forgotten",
            Self::ApiKeyCreated => "api_key.created",
            Self::ApiKeyRotated => "api_key.rotated",
            Self::ApiKeyRevoked => "api_key.revoked",
            Self::OtpTextSaved => "otp_text.saved",
            Self::OtpTextDeleted => "otp_text.deleted",
            Self::ApiKeyChanged => "api_key.changed",
            Self::PlanCreated => "plan.created",
            Self::PlanChanged => "plan.changed",
            Self::PlanDeleted => "plan.deleted",
        }
    }
}

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Whose log it stands in.
    pub workspace: WorkspaceId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Requester,
    /// What.
    pub action: Action,
    /// With which session.
    pub session: Option<SessionId>,
    /// With which API key; it is not the key of whoever did it.
    pub api_key: Option<ApiKeyId>,
    /// Which plan was made, changed or deleted.
    pub plan: Option<PlanId>,
}

/// Adds an entry, where there is one.
///
/// # Errors
/// The database failed.
pub async fn append(tx: &mut Tx, entry: Option<&AuditEntry>) -> Result<(), StorageError> {
    let Some(entry) = entry else { return Ok(()) };
    tx.send(
        "insert into audit (workspace_id, at, who, action, session_id, address, request_id, api_key_id, plan_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            &entry.workspace,
            entry.at,
            &entry.by.who,
            entry.action.as_str(),
            &entry.session,
            &entry.by.address,
            &entry.by.request_id,
            &entry.api_key,
            &entry.plan
        ],
    )
    .await
}

/// The entries of a workspace, newest first.
///
/// # Errors
/// [`StorageError::BadCursor`], or the database failed.
pub async fn list(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    page: &PageRequest,
) -> Result<Page<AuditEntry>, StorageError> {
    let rows = tx
        .query(
            "select seq, at, who, action, session_id, address, request_id, api_key_id, plan_id from audit
             where workspace_id = $1 and seq < $2 order by seq desc limit $3",
            params![&workspace, page.below(LIST, workspace)?, page.fetch()],
        )
        .await?;
    let entries = rows.into_iter().map(|mut row| read(&mut row, workspace));
    Ok(Page::cut(entries.collect::<Result<_, _>>()?, page, LIST, workspace))
}

fn read(row: &mut Row, workspace: WorkspaceId) -> Result<(i64, AuditEntry), StorageError> {
    let (seq, at, who): (i64, Timestamp, String) = (row.take()?, row.take()?, row.take()?);
    let action: String = row.take()?;
    let action = Action::ALL.into_iter().find(|known| known.as_str() == action);
    let entry = AuditEntry {
        workspace,
        at,
        action: action.ok_or(StorageError::Unreadable("action"))?,
        session: row.take()?,
        by: Requester {
            who,
            address: row.take()?,
            request_id: row.take()?,
        },
        api_key: row.take()?,
        plan: row.take()?,
    };
    Ok((seq, entry))
}
