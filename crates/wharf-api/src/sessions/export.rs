//! `POST /api/sessions/{id}/export`

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use data_encoding::BASE64;
use garde::Validate;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wharf_model::{Random, SessionId};
use wharf_session::{Leaving, SignalState};
use wharf_vault::destination::{Origin, Place, PlaceError, Places};
use wharf_vault::{Portable, StateFormat, VaultError, export};

use super::credentials::MAX_PASSPHRASE;
use super::errors::kept;
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Id, Valid};
use crate::idempotency::{Answer, Keep, Once};
use crate::rules;
use crate::scope::ExportSessions;
use crate::state::ApiState;
use crate::wire::{SessionIdText, Time};

/// Characters of the longest brand before a session string.
const MAX_PREFIX: usize = 32;

/// What is to be exported.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportSession {
    #[garde(skip)]
    format: ExportFormat,
    /// What a session string begins with; bots look for their own. `WHARF~` when it is left out.
    #[garde(inner(custom(rules::text(0, MAX_PREFIX))))]
    #[schema(max_length = 32, pattern = "^[^\\u0000]*$", example = "BRAND~")]
    prefix: Option<String>,
    /// What the bundle is sealed under: twelve characters or more. Without it nobody opens the bundle again, nor do we.
    #[garde(inner(custom(rules::secret(12, MAX_PASSPHRASE))))]
    #[schema(value_type = Option<String>, min_length = 12, max_length = 1024)]
    passphrase: Option<SecretString>,
    /// Whether the session moves: it goes off and stays off, until `export/confirm` shreds its keys here or `export/cancel`
    /// takes it back. Otherwise a copy is made.
    #[garde(skip)]
    #[serde(default, rename = "move")]
    #[schema(default = false)]
    moves: bool,
    /// Where a session string is kept: the answer is then a short one that leads to it. Without it the string itself is.
    #[garde(dive)]
    destination: Option<Destination>,
}

/// A place for session strings.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Destination {
    /// This server's database; see `GET /api/vault/{id}`.
    Database {
        /// For how many seconds; a week when it is left out, a year at most.
        #[garde(inner(custom(rules::between(60, 31_622_400))))]
        #[schema(minimum = 60, maximum = 31_622_400)]
        expires_in: Option<u32>,
        /// Whether there is a link, too, that needs no key and works once.
        #[garde(skip)]
        #[serde(default)]
        #[schema(default = false)]
        link: bool,
    },
    /// A file of the operator's account at MEGA; the short string is `PREFIX~id#key`.
    Mega {},
    /// An object of the operator's bucket, `creds.json` under the id.
    S3 {},
    /// A file of the operator's folder, `creds.json` under the id.
    Folder {},
}

impl Destination {
    fn place(&self) -> Place {
        match self {
            Self::Database { expires_in, link } => Place::Database {
                lasts: expires_in.map_or(KEPT, |seconds| Duration::from_secs(seconds.into())),
                link: *link,
            },
            Self::Mega {} => Place::Mega,
            Self::S3 {} => Place::S3,
            Self::Folder {} => Place::Folder,
        }
    }
}

/// Logs are written with `Debug`: passphrases must not reach them.
impl fmt::Debug for ExportSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportSession")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// The form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ExportFormat {
    /// Everything, sealed under a passphrase, for another Wharf.
    Bundle,
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
    /// The path of a link to the string that needs no key and works once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "/api/vault/links/AAECAwQFBgcICQoLDA0ODw")]
    link: Option<String>,
    /// When the string that a short one leads to goes; without it, nobody here takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Time>,
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

/// The session cannot connect.
const MOVING: &str = "The session here stays off. Call export/confirm once the credentials work elsewhere: it shreds the \
                      keys here and unlinks nothing. Call export/cancel if they were not used anywhere.";

/// How long a string is kept when nobody says.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The prefix of those who have none.
const PREFIX: &str = "WHARF~";

/// Export a session
///
/// Copies a linked session's credentials into a form that another program takes. `session_string` and `baileys_creds`
/// are enough to log in with; conversations are then negotiated anew. `baileys_folder` and `bundle` take them along, and
/// for that the session must be at rest: disconnect it first, or let it `move`.
#[utoipa::path(post, path = "/api/sessions/{id}/export", tag = "Sessions", security(("bearer" = ["sessions:export"])),
    params(("id" = SessionIdText, Path, description = "The session")), request_body = ExportSession,
    responses((status = 200, description = "The credentials", body = ExportBody),
        (status = 502, description = "Who keeps the credentials elsewhere, or should keep them, did not")))]
pub(crate) async fn export_session(
    caller: Allowed<ExportSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    once: Once,
    request: Valid<ExportSession>,
) -> Result<Response, ApiError> {
    caller.require_session(id)?;
    let Valid { body, raw } = request;
    if body.format == ExportFormat::Bundle && body.passphrase.is_none() {
        return Err(ApiError::invalid_field(
            "/passphrase",
            "required",
            "A bundle is sealed under a passphrase.",
        ));
    }
    if body.destination.is_some() && body.format != ExportFormat::SessionString {
        return Err(ApiError::invalid_field(
            "/destination",
            "not_a_string",
            "Only a session string is kept elsewhere.",
        ));
    }
    if let Some(destination) = &body.destination
        && !state.places.offers(destination.place())
    {
        return Err(kept(PlaceError::NotConfigured));
    }
    let (sessions, format, workspace) = (
        state.sessions.acting_for(caller.requester()),
        Arc::clone(&state.format),
        caller.workspace(),
    );
    let (random, places) = (Arc::clone(&state.random), state.places.clone());
    let origin = Origin {
        workspace,
        session: Some(id),
    };
    let exporting = async move {
        let stored = sessions.export(workspace, id, format.kinds(), body.leaving()).await?;
        let given_back = (body.moves, stored.was_wanted);
        let destination = body.destination.clone();
        // Conversations are converted one by one; other requests must not wait for it.
        let written = tokio::task::spawn_blocking(move || write(&body, &*format, &stored, &*random));
        let written = written.await.map_err(ApiError::internal).flatten();
        let written = match (written, destination) {
            (Ok(written), Some(destination)) => keep(&places, destination.place(), origin, written).await,
            (written, _) => written.map(|written| written.body),
        };
        if let (Err(_), (true, was_wanted)) = (&written, given_back) {
            // What is refused has no effect: nobody has the credentials.
            sessions.give_back(workspace, id, was_wanted).await?;
        }
        Answer::json(StatusCode::OK, &written?)
    };
    // A caller who goes away in between leaves no session off the network that nobody has.
    let effect = async move { tokio::spawn(exporting).await.map_err(ApiError::internal)? };
    once.run(&state, &caller, &raw, Keep::Fact, effect).await
}

impl ExportSession {
    /// Conversations are copied from a session that rests; credentials alone do not change.
    const fn leaving(&self) -> Leaving {
        match self.format {
            _ if self.moves => Leaving::Nothing,
            ExportFormat::Bundle | ExportFormat::BaileysFolder => Leaving::Resting,
            ExportFormat::SessionString | ExportFormat::BaileysCreds => Leaving::Running,
        }
    }

    fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or(PREFIX)
    }
}

/// An answer, and what it was made from.
struct Written {
    body: ExportBody,
    portable: Portable,
    prefix: String,
}

fn write(
    request: &ExportSession,
    format: &dyn StateFormat,
    stored: &SignalState,
    random: &dyn Random,
) -> Result<Written, ApiError> {
    let portable = format
        .portable(&stored.keys, &stored.rows)
        .map_err(ApiError::Internal)?;
    let portable = portable.ok_or(ApiError::NotLinked)?.with_epoch(stored.epoch);
    let (data, left_behind) = data(request, &portable, random)?;
    let body = ExportBody {
        format: request.format,
        data,
        fingerprint: portable.fingerprint().to_owned(),
        left_behind,
        link: None,
        expires_at: None,
        warning: if request.moves { MOVING } else { WARNING },
    };
    Ok(Written {
        body,
        portable,
        prefix: request.prefix().to_owned(),
    })
}

/// Puts the credentials away; what is left of the string is short.
async fn keep(places: &Places, place: Place, origin: Origin, written: Written) -> Result<ExportBody, ApiError> {
    let Written { body, portable, prefix } = written;
    let receipt = places.keep(place, origin, &portable, &prefix).await.map_err(kept)?;
    Ok(ExportBody {
        data: format!("{prefix}{}", *receipt.reference),
        link: receipt.link.map(|token| format!("/api/vault/links/{token}")),
        expires_at: receipt.expires_at.map(Time),
        ..body
    })
}

fn data(request: &ExportSession, portable: &Portable, random: &dyn Random) -> Result<(String, usize), ApiError> {
    Ok(match request.format {
        ExportFormat::Bundle => {
            let passphrase = request.passphrase.as_ref().map_or("", ExposeSecret::expose_secret);
            let bundle = export::bundle(portable, passphrase, random).map_err(too_large)?;
            (bundle.to_string(), portable.keys.unreadable)
        }
        ExportFormat::SessionString => {
            let string = export::session_string(portable, request.prefix()).map_err(ApiError::internal)?;
            (string.to_string(), 0)
        }
        ExportFormat::BaileysCreds => {
            let creds = export::baileys_creds(portable);
            (String::from_utf8_lossy(&creds).into_owned(), 0)
        }
        ExportFormat::BaileysFolder => {
            let folder = export::baileys_folder(portable).map_err(ApiError::internal)?;
            (BASE64.encode(&folder.zip), folder.left_behind)
        }
    })
}

fn too_large(error: VaultError) -> ApiError {
    match error {
        VaultError::UnpacksTooLarge => ApiError::invalid_field(
            "/format",
            "too_large",
            "The session has more conversations than a bundle holds (3 MiB). Export a folder.",
        ),
        other => ApiError::internal(other),
    }
}
