//! `POST /api/sessions/validate`

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wharf_model::WorkspaceId;
use wharf_vault::{Check, Format, Keys, Layer, Level, Report, Verdict};

use super::credentials::{Given, MAX_PASSPHRASE, Turn, examine};
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Valid;
use crate::idempotency::{Answer, Keep, Once};
use crate::rules;
use crate::scope::LinkSessions;
use crate::state::ApiState;

/// Credentials that somebody has and wants to know about.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValidateCredentials {
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
    /// Whether WhatsApp is asked as well: a login that takes no message and ends at once. Needs `accept_disconnect`.
    #[garde(skip)]
    #[serde(default)]
    #[schema(default = false)]
    live: bool,
    /// That a login replaces whoever is logged in with these credentials now.
    #[garde(skip)]
    #[serde(default)]
    #[schema(default = false)]
    accept_disconnect: bool,
}

/// Logs are written with `Debug`: credentials must not reach them.
impl std::fmt::Debug for ValidateCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValidateCredentials").finish_non_exhaustive()
    }
}

/// What is right and wrong with them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValidationBody {
    /// Whether every check passed.
    valid: bool,
    format: FormatBody,
    /// What was taken off to get there, outermost first.
    layers: Vec<LayerBody>,
    level: LevelBody,
    /// Tells one link from every other and says nothing of the account; `null` when parts are missing.
    #[schema(example = "3f1c09a2b7d84e5590cc12fe7a6b3d81")]
    fingerprint: Option<String>,
    /// The account's number in E.164; `null` when parts are missing.
    #[schema(example = "+15551234567")]
    phone: Option<String>,
    /// What came beside the credentials, and would go along with an import.
    keys: KeysBody,
    /// Every check that was made, in order.
    checks: Vec<CheckBody>,
}

/// How many keys of each kind there are.
#[derive(Debug, Serialize, ToSchema)]
struct KeysBody {
    /// One-time pre-keys that nobody has used. Without them, who picked one is asked to write again.
    pre_keys: usize,
    /// Conversations. Without them, the first message of each comes one round later.
    conversations: usize,
    /// Sender keys of groups. Without them, the next message of each group member comes one round later.
    sender_keys: usize,
    /// Identities of others.
    identities: usize,
    /// Keys of app state. Without them the phone is asked for them.
    app_state_keys: usize,
    /// Phones and their hidden ids.
    lid_mappings: usize,
    /// Tokens of contacts, without which WhatsApp refuses to open chats more often.
    contact_tokens: usize,
    /// Keys that cannot be read, and stay behind.
    unreadable: usize,
}

/// What was recognised.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FormatBody {
    Bundle,
    BaileysCreds,
    BaileysFolder,
}

/// What was taken off.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LayerBody {
    Prefix,
    Base64,
    Gzip,
    Zip,
    Tar,
    Json,
}

/// How deep the checks went: what is there, then whether keys and signatures belong together, then whether WhatsApp
/// accepts a login.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LevelBody {
    Structure,
    Mathematics,
    Live,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
struct CheckBody {
    /// Stable.
    #[schema(example = "signed_pre_key_signature")]
    name: String,
    ok: bool,
    /// What was seen, in a sentence.
    #[schema(example = "The identity key signed the pre-key.")]
    detail: String,
}

/// Check credentials
///
/// Recognises them by content and checks what can be checked without a connection; with `live` it also logs in and leaves at
/// once, if everything else is right. A login replaces whoever is logged in with these credentials; messages that wait for
/// him go on waiting. The credentials are not stored; the answer to a call with `Idempotency-Key` is kept, sealed, as that
/// of every other call.
#[utoipa::path(post, path = "/api/sessions/validate", tag = "Sessions", security(("bearer" = ["sessions:link"])),
    request_body = ValidateCredentials,
    responses((status = 200, description = "What was found", body = ValidationBody),
        (status = 502, description = "Who keeps the credentials elsewhere, or should keep them, did not")))]
pub(crate) async fn validate_credentials(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    once: Once,
    turn: Turn,
    request: Valid<ValidateCredentials>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    if body.live && !body.accept_disconnect {
        let detail = "A login replaces whoever is logged in with these credentials: say that this is meant.";
        return Err(ApiError::invalid_field("/accept_disconnect", "required", detail));
    }
    let (looked_at, workspace) = (state.clone(), caller.workspace());
    let sessions = state.sessions.acting_for(caller.requester());
    let effect = async move {
        let report = examine(
            &looked_at,
            workspace,
            Given::new(body.data, body.passphrase, body.fetch, turn),
        )
        .await?;
        let verdict = match &report {
            report if body.live => login(&looked_at, workspace, report).await?,
            _ => None,
        };
        sessions.note_validation(workspace, verdict.is_some()).await?;
        Answer::json(StatusCode::OK, &ValidationBody::new(&report, verdict))
    };
    once.run(&state, &caller, &raw, Keep::Answer, effect).await
}

/// Asks WhatsApp, where everything else is right. A session of this server would be cut off by it.
async fn login(state: &ApiState, workspace: WorkspaceId, report: &Report) -> Result<Option<Verdict>, ApiError> {
    let (true, Some(credentials), Some(fingerprint)) = (report.valid(), report.credentials(), report.fingerprint())
    else {
        return Ok(None);
    };
    state.sessions.check_unused(workspace, &fingerprint).await?;
    match state.login.try_login(credentials).await {
        Ok(verdict) => Ok(Some(verdict)),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "Credentials could not be tried"
            );
            Err(ApiError::NotReady(
                "WhatsApp could not be asked; nothing is known of the credentials.".to_owned(),
            ))
        }
    }
}

/// A report as the API shows it.
pub fn described(report: &Report) -> impl Serialize + use<> {
    ValidationBody::new(report, None)
}

impl ValidationBody {
    fn new(report: &Report, verdict: Option<Verdict>) -> Self {
        let owner = report.credentials().map(|credentials| &credentials.owner);
        let live = verdict.map(Verdict::check);
        let checks = report.checks().iter().chain(live.as_ref());
        Self {
            valid: report.valid() && live.is_none_or(|check| check.ok),
            format: report.format().into(),
            layers: report.layers().iter().copied().map(Into::into).collect(),
            level: live.map_or_else(|| report.level().into(), |_| LevelBody::Live),
            keys: report.keys().into(),
            fingerprint: report.fingerprint(),
            phone: owner.map(|owner| format!("+{}", owner.phone.user())),
            checks: checks.map(Into::into).collect(),
        }
    }
}

impl From<&Keys> for KeysBody {
    fn from(keys: &Keys) -> Self {
        Self {
            pre_keys: keys.pre_keys.len(),
            conversations: keys.sessions.len(),
            sender_keys: keys.sender_keys.len(),
            identities: keys.identities.len(),
            app_state_keys: keys.sync_keys.len(),
            lid_mappings: keys.lid_mappings.len(),
            contact_tokens: keys.contact_tokens.len(),
            unreadable: keys.unreadable,
        }
    }
}

impl From<Format> for FormatBody {
    fn from(format: Format) -> Self {
        match format {
            Format::Bundle => Self::Bundle,
            Format::BaileysCreds => Self::BaileysCreds,
            Format::BaileysFolder => Self::BaileysFolder,
        }
    }
}

impl From<Layer> for LayerBody {
    fn from(layer: Layer) -> Self {
        match layer {
            Layer::Prefix => Self::Prefix,
            Layer::Base64 => Self::Base64,
            Layer::Gzip => Self::Gzip,
            Layer::Zip => Self::Zip,
            Layer::Tar => Self::Tar,
            Layer::Json => Self::Json,
        }
    }
}

impl From<Level> for LevelBody {
    fn from(level: Level) -> Self {
        match level {
            Level::Structure => Self::Structure,
            Level::Mathematics => Self::Mathematics,
        }
    }
}

impl From<&Check> for CheckBody {
    fn from(check: &Check) -> Self {
        Self {
            name: check.name.to_owned(),
            ok: check.ok,
            detail: check.detail.to_owned(),
        }
    }
}
