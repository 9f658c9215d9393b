//! `GET /api/sessions/{id}/qr`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, VARY};
use serde::Serialize;
use utoipa::ToSchema;
use wharf_model::SessionId;
use wharf_session::QrCode;

use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::Id;
use crate::negotiate;
use crate::qr::QrImage;
use crate::scope::LinkSessions;
use crate::state::ApiState;
use crate::wire::{SessionIdText, Time};

const OFFERS: &[&str] = &["application/json", "image/png", "image/svg+xml", "text/plain"];

/// A QR to scan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Qr)]
pub(crate) struct QrBody {
    /// What the QR holds. Whoever scans it links his account: keep it secret.
    qr: String,
    /// When it stops working; another follows, until the link times out.
    expires_at: Time,
}

impl From<QrCode> for QrBody {
    fn from(code: QrCode) -> Self {
        Self {
            qr: code.text,
            expires_at: Time(code.expires_at),
        }
    }
}

/// The QR to scan now
///
/// As JSON, PNG, SVG or half blocks for a terminal, by `Accept`.
#[utoipa::path(get, path = "/api/sessions/{id}/qr", tag = "Sessions", security(("bearer" = ["sessions:link"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses(
        (status = 200, description = "The QR", content(
            (QrBody = "application/json"), (Vec<u8> = "image/png"), (String = "image/svg+xml"),
            (String = "text/plain"))),
        (status = 406, description = "None of the four"),
        (status = 409, description = "There is none now")))]
pub(crate) async fn get_session_qr(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let kind = negotiate::choose(&headers, OFFERS)?;
    caller.require_session(id)?;
    let code = state.sessions.qr(caller.workspace(), id).await?;
    let mut response = draw(code, kind)?;
    response
        .headers_mut()
        .insert(VARY, http::HeaderValue::from_static("accept"));
    Ok(response)
}

fn draw(code: QrCode, kind: &'static str) -> Result<Response, ApiError> {
    let image = || QrImage::new(&code.text).map_err(ApiError::internal);
    Ok(match kind {
        "image/png" => ([(CONTENT_TYPE, kind)], image()?.png().map_err(ApiError::internal)?).into_response(),
        "image/svg+xml" => ([(CONTENT_TYPE, kind)], image()?.svg()).into_response(),
        "text/plain" => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], image()?.terminal()).into_response(),
        _ => Json(QrBody::from(code)).into_response(),
    })
}
