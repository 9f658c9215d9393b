//! Calls about phones and their devices.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Body, Path, Problem};
use crate::error::SandboxError;
use crate::model::{DeviceId, NewPhone, PhoneDetail, PhoneInfo, Unhandled};
use crate::network::contacts::ContactRules;
use crate::sandbox::Sandbox;

/// A list, as every list of the API is wrapped.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed<T> {
    pub data: Vec<T>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPhoneBody {
    phone: Option<String>,
    name: Option<String>,
    #[serde(default)]
    silent: bool,
    #[serde(default)]
    passkey: bool,
    #[serde(default)]
    rules: ContactRules,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DirtyParams {
    #[serde(rename = "type")]
    what: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParams {
    chats: usize,
    messages: usize,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScanParams {
    qr: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeParams {
    code: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScannedAnew {
    #[serde(flatten)]
    phone: PhoneInfo,
    device: DeviceId,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Linked {
    device: DeviceId,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BanParams {
    code: u16,
    seconds: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OnlineParams {
    online: bool,
}

/// Make a phone
#[utoipa::path(post, path = "/sandbox/api/phones", tag = "Phones",
    request_body = NewPhoneBody,
    responses((status = 201, description = "The phone, online, with nothing linked to it", body = PhoneInfo)))]
pub(super) async fn create(
    State(sandbox): State<Sandbox>,
    Body(params): Body<NewPhoneBody>,
) -> Result<(StatusCode, Json<PhoneInfo>), Problem> {
    let created = sandbox
        .create_phone(NewPhone {
            phone: params.phone,
            name: params.name,
            silent: params.silent,
            passkey: params.passkey,
            rules: params.rules,
        })
        .await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Every phone
#[utoipa::path(get, path = "/sandbox/api/phones", tag = "Phones",
    responses((status = 200, description = "By number", body = Listed<PhoneDetail>)))]
pub(super) async fn list(State(sandbox): State<Sandbox>) -> Json<Listed<PhoneDetail>> {
    Json(Listed {
        data: sandbox.phone_details().await,
    })
}

/// One phone
#[utoipa::path(get, path = "/sandbox/api/phones/{phone}", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    responses((status = 200, description = "With its linked devices", body = PhoneDetail)))]
pub(super) async fn show(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
) -> Result<Json<PhoneDetail>, Problem> {
    let found = sandbox.phone(&phone).await;
    Ok(Json(found.ok_or(SandboxError::UnknownPhone(phone))?))
}

/// Scan a QR code
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/scan", tag = "Linking",
    params(("phone" = String, Path, description = "Its number")),
    request_body = ScanParams,
    responses((status = 200, description = "The client has signed and is about to log in", body = Linked)))]
pub(super) async fn scan(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<ScanParams>,
) -> Result<Json<Linked>, Problem> {
    let device = sandbox.scan(&phone, &params.qr).await?;
    Ok(Json(Linked { device }))
}

/// For test suites of others: the body is the QR text.
pub(super) async fn scan_anew(State(sandbox): State<Sandbox>, qr: String) -> Result<Json<ScannedAnew>, Problem> {
    let (phone, device) = sandbox.scan_anew(&qr).await?;
    Ok(Json(ScannedAnew { phone, device }))
}

/// Type the eight characters that a client shows
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/enter-code", tag = "Linking",
    params(("phone" = String, Path, description = "Its number")),
    request_body = CodeParams,
    responses((status = 200, description = "The client has signed and is about to log in", body = Linked)))]
pub(super) async fn enter_code(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<CodeParams>,
) -> Result<Json<Linked>, Problem> {
    let device = sandbox.enter_code(&phone, &params.code).await?;
    Ok(Json(Linked { device }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionsBody {
    /// What the companion was asked for, as it came.
    options: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AssertionBody {
    /// Base64.
    credential_id: String,
    /// The JSON of the assertion, as text.
    assertion: String,
}

/// Sign with the passkey of an account
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/passkey", tag = "Linking",
    params(("phone" = String, Path, description = "Its number")),
    request_body = OptionsBody,
    responses((status = 200, description = "What a companion proves with that the owner was there", body = AssertionBody)))]
pub(super) async fn sign_with_passkey(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(asked): Body<OptionsBody>,
) -> Result<Json<AssertionBody>, Problem> {
    let signed = sandbox.sign_with_passkey(&phone, &asked.options)?;
    Ok(Json(AssertionBody {
        credential_id: BASE64_STANDARD.encode(signed.credential_id),
        assertion: String::from_utf8_lossy(&signed.json).into_owned(),
    }))
}

/// Switch a phone on or off
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/online", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    request_body = OnlineParams,
    responses((status = 200, description = "The phone", body = PhoneDetail)))]
pub(super) async fn online(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<OnlineParams>,
) -> Result<Json<PhoneDetail>, Problem> {
    sandbox.set_online(&phone, params.online).await?;
    show(State(sandbox), Path(phone)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberBody {
    phone: String,
}

/// Give an account another number
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/number", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    request_body = NumberBody,
    responses((status = 200, description = "The phone under its new number, with nothing linked to it", body = PhoneInfo)))]
pub(super) async fn change_number(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(number): Body<NumberBody>,
) -> Result<Json<PhoneInfo>, Problem> {
    Ok(Json(sandbox.change_number(&phone, &number.phone).await?))
}

/// Lock an account out
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/ban", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    request_body = BanParams,
    responses((status = 200, description = "The phone; its companions are cut off and cannot log in", body = PhoneDetail)))]
pub(super) async fn ban(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<BanParams>,
) -> Result<Json<PhoneDetail>, Problem> {
    let lasts = params.seconds.map(Duration::from_secs);
    sandbox.ban(&phone, params.code, lasts).await?;
    show(State(sandbox), Path(phone)).await
}

/// Let an account in again
#[utoipa::path(delete, path = "/sandbox/api/phones/{phone}/ban", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    responses((status = 204, description = "The network forgives")))]
pub(super) async fn lift_ban(State(sandbox): State<Sandbox>, Path(phone): Path<String>) -> Result<StatusCode, Problem> {
    sandbox.lift_ban(&phone).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a linked device
#[utoipa::path(delete, path = "/sandbox/api/phones/{phone}/devices/{device}", tag = "Linking",
    params(("phone" = String, Path, description = "Its number"), ("device" = u16, Path, description = "Number of the linked device")),
    responses((status = 204, description = "It is told so, and cannot log in any more")))]
pub(super) async fn unlink(
    State(sandbox): State<Sandbox>,
    Path((phone, device)): Path<(String, DeviceId)>,
) -> Result<StatusCode, Problem> {
    sandbox.unlink(&phone, device).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How strangers of an account are treated
#[utoipa::path(get, path = "/sandbox/api/phones/{phone}/contact-rules", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    responses((status = 200, description = "The rules", body = ContactRules)))]
pub(super) async fn contact_rules(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
) -> Result<Json<ContactRules>, Problem> {
    Ok(Json(sandbox.contact_rules(&phone)?))
}

/// Treat strangers of an account in another way
#[utoipa::path(put, path = "/sandbox/api/phones/{phone}/contact-rules", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    request_body = ContactRules,
    responses((status = 200, description = "The rules; companions hear of what concerns them", body = ContactRules)))]
pub(super) async fn set_contact_rules(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(rules): Body<ContactRules>,
) -> Result<Json<ContactRules>, Problem> {
    sandbox.set_contact_rules(&phone, rules).await?;
    contact_rules(State(sandbox), Path(phone)).await
}

/// Tell the companions to fetch something anew
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/dirty", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    request_body = DirtyParams,
    responses((status = 204, description = "Now, and at every login until they did")))]
pub(super) async fn mark_dirty(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<DirtyParams>,
) -> Result<StatusCode, Problem> {
    sandbox.mark_dirty(&phone, &params.what).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Write a past into a phone
#[utoipa::path(post, path = "/sandbox/api/phones/{phone}/history", tag = "Phones",
    params(("phone" = String, Path, description = "Its number")),
    request_body = HistoryParams,
    responses((status = 204, description = "Companions linked from now on are told of it")))]
pub(super) async fn invent_history(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<HistoryParams>,
) -> Result<StatusCode, Problem> {
    sandbox.invent_history(&phone, params.chats, params.messages).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The certificate of the clients' port
///
/// Whom clients have to trust that fetch media, as PEM.
#[utoipa::path(get, path = "/sandbox/api/tls-certificate", tag = "Network",
    responses((status = 200, description = "PEM", body = String)))]
pub(super) async fn tls_certificate(State(sandbox): State<Sandbox>) -> String {
    sandbox.tls_certificate().to_owned()
}

/// What clients asked for that is not imitated
#[utoipa::path(get, path = "/sandbox/api/unhandled", tag = "Network",
    responses((status = 200, description = "Refused and counted", body = Listed<Unhandled>)))]
pub(super) async fn unhandled(State(sandbox): State<Sandbox>) -> Json<Listed<Unhandled>> {
    Json(Listed {
        data: sandbox.unhandled().await,
    })
}
