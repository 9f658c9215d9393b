//! `POST /api/sessions/{id}/export`

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use data_encoding::BASE64;
use garde::Validate;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wharf_model::SessionId;
use wharf_session::SignalState;
use wharf_vault::{Portable, StateFormat, export};

use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, Valid};
use crate::idempotency::{Answer, Keep, Once};
use crate::rules;
use crate::scope::ExportSessions;
use crate::state::ApiState;
use crate::wire::SessionIdText;

/// Characters of the longest brand before a session string.
const MAX_PREFIX: usize = 32;

/// What is to be exported.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportSession {
    #[garde(skip)]
    format: ExportFormat,
    /// What a session string begins with; bots look for their own. `WHARF~` when it is left out.
    #[garde(inner(custom(rules::text(0, MAX_PREFIX))))]
    #[schema(max_length = 32, pattern = "^[^\\u0000]*$", example = "BRAND~")]
    prefix: Option<String>,
}

/// The form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ExportFormat {
    /// `creds.json` of Baileys, compressed, in base64, behind a prefix.
    SessionString,
    /// `creds.json` of Baileys.
    BaileysCreds,
    /// A zip archive, in base64, of a folder that Baileys' `useMultiFileAuthState` reads: credentials and keys.
    BaileysFolder,
}

/// Credentials. Whoever has them is the account.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExportBody {
    format: ExportFormat,
    /// The credentials.
    data: String,
    /// Tells one link from every other and says nothing of the account.
    #[schema(example = "3f1c09a2b7d84e5590cc12fe7a6b3d81")]
    fingerprint: String,
    /// Conversations that the other program has no words for; their next message comes one round later.
    left_behind: usize,
    /// What to mind.
    warning: &'static str,
}

/// Logs are written with `Debug`: credentials must not reach them.
impl fmt::Debug for ExportBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportBody").finish_non_exhaustive()
    }
}

/// The session can still connect, and so can the copy.
const WARNING: &str = "This is a copy: the session here can still connect. Two programs that log in as one device \
                       replace each other, and outdate each other's conversations: use one of them only. To log out or \
                       to delete the session here unlinks the copy as well.";

/// The prefix of those who have none.
const PREFIX: &str = "WHARF~";

/// Export a session
///
/// Copies a linked session's credentials into a form that another program takes. `session_string` and `baileys_creds`
/// are enough to log in with; conversations are then negotiated anew. `baileys_folder` takes them along, and for that
/// the session must be at rest: disconnect it first.
#[utoipa::path(post, path = "/api/sessions/{id}/export", tag = "Sessions", security(("bearer" = ["sessions:export"])),
    params(("id" = SessionIdText, Path, description = "The session")), request_body = ExportSession,
    responses((status = 200, description = "The credentials", body = ExportBody)))]
pub(crate) async fn export_session(
    caller: Allowed<ExportSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: Valid<ExportSession>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let Valid { body, raw } = request;
    let (sessions, format, workspace) = (state.sessions.clone(), Arc::clone(&state.format), caller.workspace());
    let effect = async move {
        let at_rest = body.format == ExportFormat::BaileysFolder;
        let stored = sessions.signal_state(workspace, id, format.kinds(), at_rest).await?;
        // Conversations are converted one by one; other requests must not wait for it.
        let written = tokio::task::spawn_blocking(move || write(&body, &*format, &stored));
        Answer::json(StatusCode::OK, &written.await.map_err(ApiError::internal)??)
    };
    once.run(&state, &caller, &raw, Keep::Fact, effect).await
}

fn write(request: &ExportSession, format: &dyn StateFormat, stored: &SignalState) -> Result<ExportBody, ApiError> {
    let portable = format
        .portable(&stored.keys, &stored.rows)
        .map_err(ApiError::Internal)?;
    let portable = portable.ok_or(ApiError::NotLinked)?;
    let (data, left_behind) = data(request, &portable).map_err(ApiError::internal)?;
    Ok(ExportBody {
        format: request.format,
        data,
        fingerprint: portable.fingerprint().to_owned(),
        left_behind,
        warning: WARNING,
    })
}

fn data(request: &ExportSession, portable: &Portable) -> std::io::Result<(String, usize)> {
    Ok(match request.format {
        ExportFormat::SessionString => {
            let prefix = request.prefix.as_deref().unwrap_or(PREFIX);
            (export::session_string(portable, prefix)?.to_string(), 0)
        }
        ExportFormat::BaileysCreds => {
            let creds = export::baileys_creds(portable);
            (String::from_utf8_lossy(&creds).into_owned(), 0)
        }
        ExportFormat::BaileysFolder => {
            let folder = export::baileys_folder(portable)?;
            (BASE64.encode(&folder.zip), folder.left_behind)
        }
    })
}
