//! `POST /api/sessions/validate`

use axum::extract::State;
use axum::response::Response;
use garde::Validate;
use http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wharf_vault::{Check, Format, Keys, Layer, Level, Report};

use super::credentials::{MAX_PASSPHRASE, examine};
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
    /// What a bundle opens with.
    #[garde(inner(custom(rules::secret(0, MAX_PASSPHRASE))))]
    #[schema(value_type = Option<String>, max_length = 1024)]
    passphrase: Option<SecretString>,
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

/// How deep the checks went: what is there, then whether keys and signatures belong together.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LevelBody {
    Structure,
    Mathematics,
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
/// Recognises them by content and checks what can be checked without a connection. The credentials are not stored; the
/// answer to a call with `Idempotency-Key` is kept, sealed, as that of every other call.
#[utoipa::path(post, path = "/api/sessions/validate", tag = "Sessions", security(("bearer" = ["sessions:link"])),
    request_body = ValidateCredentials,
    responses((status = 200, description = "What was found", body = ValidationBody)))]
pub(crate) async fn validate_credentials(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    once: Once,
    request: Valid<ValidateCredentials>,
) -> Result<Response, ApiError> {
    let Valid { body, raw } = request;
    let looked_at = state.clone();
    let effect = async move {
        let report = examine(&looked_at, body.data, body.passphrase).await?;
        Answer::json(StatusCode::OK, &ValidationBody::from(report))
    };
    once.run(&state, &caller, &raw, Keep::Answer, effect).await
}

/// A report as the API shows it.
pub fn described(report: Report) -> impl Serialize {
    ValidationBody::from(report)
}

impl From<Report> for ValidationBody {
    fn from(report: Report) -> Self {
        let owner = report.credentials().map(|credentials| &credentials.owner);
        Self {
            valid: report.valid(),
            format: report.format().into(),
            layers: report.layers().iter().copied().map(Into::into).collect(),
            level: report.level().into(),
            keys: report.keys().into(),
            fingerprint: report.fingerprint(),
            phone: owner.map(|owner| format!("+{}", owner.phone.user())),
            checks: report.checks().iter().map(Into::into).collect(),
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
