//! Calls about phones and their devices.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::problem::{Body, Path, Problem};
use crate::error::SandboxError;
use crate::model::{DeviceId, NewPhone, PhoneDetail, PhoneInfo, Unhandled};
use crate::sandbox::Sandbox;

/// A list, as every list of the API is wrapped.
#[derive(Debug, Serialize)]
pub(super) struct Listed<T> {
    pub data: Vec<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateParams {
    phone: Option<String>,
    name: Option<String>,
    #[serde(default)]
    silent: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScanParams {
    qr: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeParams {
    code: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ScannedAnew {
    #[serde(flatten)]
    phone: PhoneInfo,
    device: DeviceId,
}

#[derive(Debug, Serialize)]
pub(super) struct Linked {
    device: DeviceId,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BanParams {
    code: u16,
    seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OnlineParams {
    online: bool,
}

pub(super) async fn create(
    State(sandbox): State<Sandbox>,
    Body(params): Body<CreateParams>,
) -> Result<(StatusCode, Json<PhoneInfo>), Problem> {
    let created = sandbox
        .create_phone(NewPhone {
            phone: params.phone,
            name: params.name,
            silent: params.silent,
        })
        .await?;
    Ok((StatusCode::CREATED, Json(created)))
}

pub(super) async fn list(State(sandbox): State<Sandbox>) -> Json<Listed<PhoneDetail>> {
    Json(Listed {
        data: sandbox.phone_details().await,
    })
}

pub(super) async fn show(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
) -> Result<Json<PhoneDetail>, Problem> {
    let found = sandbox.phone(&phone).await;
    Ok(Json(found.ok_or(SandboxError::UnknownPhone(phone))?))
}

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

pub(super) async fn enter_code(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<CodeParams>,
) -> Result<Json<Linked>, Problem> {
    let device = sandbox.enter_code(&phone, &params.code).await?;
    Ok(Json(Linked { device }))
}

pub(super) async fn online(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<OnlineParams>,
) -> Result<Json<PhoneDetail>, Problem> {
    sandbox.set_online(&phone, params.online).await?;
    show(State(sandbox), Path(phone)).await
}

pub(super) async fn ban(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    Body(params): Body<BanParams>,
) -> Result<Json<PhoneDetail>, Problem> {
    let lasts = params.seconds.map(Duration::from_secs);
    sandbox.ban(&phone, params.code, lasts).await?;
    show(State(sandbox), Path(phone)).await
}

pub(super) async fn lift_ban(State(sandbox): State<Sandbox>, Path(phone): Path<String>) -> Result<StatusCode, Problem> {
    sandbox.lift_ban(&phone).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unlink(
    State(sandbox): State<Sandbox>,
    Path((phone, device)): Path<(String, DeviceId)>,
) -> Result<StatusCode, Problem> {
    sandbox.unlink(&phone, device).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom clients have to trust that fetch media, as PEM.
pub(super) async fn tls_certificate(State(sandbox): State<Sandbox>) -> String {
    sandbox.tls_certificate().to_owned()
}

pub(super) async fn unhandled(State(sandbox): State<Sandbox>) -> Json<Listed<Unhandled>> {
    Json(Listed {
        data: sandbox.unhandled().await,
    })
}
