//! `POST /api/sessions/import`

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wharf_model::Random;
use wharf_session::{BoxError, Linked, NewSession};
use wharf_storage::SessionKeys;
use wharf_storage::wa_state::StateRow;
use wharf_vault::{Check, Portable, Report, StateFormat};

use super::body::SessionBody;
use super::create;
use super::credentials::{Given, MAX_PASSPHRASE, Turn, examine};
use super::pacing::Pacing;
use super::setup::{self, is_proxy};
use crate::auth::Allowed;
use crate::error::{ApiError, FieldProblem};
use crate::extract::Valid;
use crate::idempotency::Once;
use crate::rules;
use crate::scope::LinkSessions;
use crate::state::ApiState;

/// What an import is called when nobody says.
const UNNAMED: &str = "imported";

/// Credentials that are to become a session.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportSession {
    /// A session string with whatever brand in front, `creds.json`, or a folder of Baileys as one JSON object; a zip
    /// archive of such a folder, or a compressed tar archive, in base64; or a bundle.
    #[garde(skip)]
    #[schema(example = "BRAND~H4sIAAAAAAAAA...")]
    data: String,
    /// Whether credentials that the data only names are fetched: a file at MEGA (`id#key`), an address, an id in this server's
    /// own bucket or folder. Without it nothing is asked but this server's database.
    #[garde(skip)]
    #[serde(default)]
    #[schema(default = false)]
    fetch: bool,
    /// What a bundle opens with.
    #[garde(inner(custom(rules::secret(0, MAX_PASSPHRASE))))]
    #[schema(value_type = Option<String>, max_length = 1024)]
    passphrase: Option<SecretString>,
    /// What people call the session; `imported` when it is left out.
    #[garde(inner(custom(rules::text(1, rules::MAX_NAME))))]
    #[schema(min_length = 1, max_length = 100, pattern = "^[^\\u0000]*$", example = "support")]
    name: Option<String>,
    /// Any JSON object of yours, at most 16 KiB; it comes back in answers.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Limits of its own; without it those of the configuration.
    #[garde(dive)]
    pacing: Option<Pacing>,
    /// What its connections go through: `http://user:password@host:port` or `socks5://user:password@host:port`.
    /// The address must be public, or one that the operator allows. Answers leave user and password out.
    #[garde(inner(custom(is_proxy)))]
    #[schema(value_type = Option<String>, max_length = 2048, pattern = "^[^\\u0000]*$",
        example = "socks5://user:password@proxy.example.com:1080")]
    proxy: Option<SecretString>,
}

/// Logs are written with `Debug`: credentials must not reach them.
impl fmt::Debug for ImportSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportSession").finish_non_exhaustive()
    }
}

/// Import a session
///
/// Makes a session of credentials from elsewhere: it is linked already, and `connect` needs no QR. Stop the program that
/// uses them first, for good: two that log in as one device replace each other, and whatever the other one sends
/// afterwards makes the keys of a folder outdated. `creds.json` alone, or a session string, is enough; conversations are
/// then negotiated anew, and messages that were written under old keys come one round later. A bundle brings everything,
/// and needs its passphrase.
#[utoipa::path(post, path = "/api/sessions/import", tag = "Sessions", security(("bearer" = ["sessions:link"])),
    request_body = ImportSession,
    responses((status = 201, description = "The session", body = SessionBody),
        (status = 502, description = "Who keeps the credentials elsewhere, or should keep them, did not")))]
pub(crate) async fn import_session(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    once: Once,
    turn: Turn,
    request: Valid<ImportSession>,
) -> Result<Response, ApiError> {
    caller.require_unrestricted()?;
    let Valid { body, raw } = request;
    let given = Given::new(body.data, body.passphrase, body.fetch, turn);
    let report = examine(&state, caller.workspace(), given).await?;
    let credentials = Imported {
        portable: report.into_portable().map_err(|report| faulty(&report))?,
        format: Arc::clone(&state.format),
        random: Arc::clone(&state.random),
    };
    let new = NewSession {
        name: body.name.unwrap_or_else(|| UNNAMED.to_owned()),
        metadata: body.metadata.map(Value::Object),
        pacing: body.pacing.map(Into::into),
        proxy: setup::proxy(body.proxy.as_ref())?,
        // It was told to WhatsApp when the account was linked.
        device: None,
        created_by: Some(caller.name()),
        allowance: caller.allowance(),
    };
    let idempotent = create::claim(&once, &caller, &raw);
    let sessions = state.sessions.acting_for(caller.requester());
    let made = sessions.import(caller.workspace(), new, Arc::new(credentials), idempotent);
    create::made(made.await?)
}

/// Every check that failed, each under its own name.
fn faulty(report: &Report) -> ApiError {
    let failed = report.checks().iter().filter(|check| !check.ok);
    let problem = |Check { name, detail, .. }: &Check| FieldProblem::new("/data", name, *detail);
    ApiError::ValidationFailed(failed.map(problem).collect())
}

/// Credentials on their way into a session.
#[derive(Debug)]
struct Imported {
    portable: Portable,
    format: Arc<dyn StateFormat>,
    random: Arc<dyn Random>,
}

impl Linked for Imported {
    fn fingerprint(&self) -> &str {
        self.portable.fingerprint()
    }

    fn epoch(&self) -> i64 {
        self.portable.epoch
    }

    fn state(&self, keys: &SessionKeys) -> Result<Vec<StateRow>, BoxError> {
        self.format.rows(keys, &self.portable, &*self.random)
    }
}
