//! What the generator's pages call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts, Json, Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, extract::DefaultBodyLimit};
use futures::{Stream, StreamExt as _, stream};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use wharf_api::qr::{QrError, QrImage};
use wharf_model::{Phone, SystemEdges};

use super::attempt::{Method, Work};
use super::attempts::Attempt;
use super::refusal::{Asked, Body, Refusal};
use super::step::Step;
use super::{Generator, Keeper};

/// How long a call for a code waits for it.
const CODE_WITHIN: Duration = Duration::from_secs(60);
/// How often a quiet stream sends a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Answers are secrets: no cache keeps them.
const SECRET: [(http::HeaderName, HeaderValue); 1] = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];

pub(super) fn router(generator: Generator) -> Router {
    let validation = post(validate).layer(DefaultBodyLimit::max(wharf_vault::MAX_INPUT + 1024));
    Router::new()
        .route("/generator/attempts", post(begin))
        .route("/generator/attempts/{id}/events", get(watch_attempt))
        .route("/generator/attempts/{id}/qr", get(draw))
        .route("/generator/attempts/{id}/take", post(take))
        .route("/generator/attempts/{id}", axum::routing::delete(give_up))
        .route("/generator/validate", validation)
        .route("/code", get(code))
        .with_state(generator)
}

/// The visitor's address, as far as proxies tell it.
struct Visitor(IpAddr);

impl FromRequestParts<Generator> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, generator: &Generator) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let proxies = &generator.inner.config.trusted_proxies;
        Ok(Self(wharf_api::caller_address(peer, &parts.headers, proxies)))
    }
}

/// How to link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    /// The number for a code; without one a QR is shown.
    phone: Option<String>,
}

type Answered = Result<Response, Refusal>;

/// `POST /generator/attempts`
async fn begin(State(generator): State<Generator>, visitor: Visitor, Body(request): Body<Begin>) -> Answered {
    let method = match request.phone {
        None => Method::Qr,
        Some(phone) => Method::Code(phone.parse::<Phone>()?),
    };
    let attempt = generator.begin(&visitor, method, false)?;
    Ok((StatusCode::CREATED, SECRET, Json(json!({ "id": attempt.id }))).into_response())
}

impl Generator {
    /// Begins an attempt, as far as the limits allow. It runs on its own from here.
    fn begin(&self, visitor: &Visitor, method: Method, unattended: bool) -> Result<Arc<Attempt>, Refusal> {
        let inner = &self.inner;
        inner.limits.take_address(visitor.0)?;
        if let Method::Code(phone) = &method {
            inner.limits.take_phone(phone, Instant::now())?;
        }
        let begun = inner.attempts.begin(&SystemEdges, unattended);
        let (attempt, place) = begun.ok_or_else(|| {
            let detail = "All places are taken. Try again in a minute.";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
        })?;
        let work = Work {
            generator: self.clone(),
            attempt: Arc::clone(&attempt),
            method,
            place,
        };
        inner.attempting.spawn(work.run());
        Ok(attempt)
    }

    fn find(&self, id: &str) -> Result<Arc<Attempt>, Refusal> {
        let detail = "This attempt is over. Begin a new one.";
        let gone = || Refusal::new(StatusCode::NOT_FOUND, "attempt_not_found", detail);
        self.inner.attempts.find(id).ok_or_else(gone)
    }
}

/// `GET /generator/attempts/{id}/events`
async fn watch_attempt(State(generator): State<Generator>, Path(id): Path<String>) -> Answered {
    let attempt = generator.find(&id)?;
    let stop = generator.inner.stop.clone();
    let steps = steps(attempt.step.subscribe()).take_until(stop.cancelled_owned());
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok((SECRET, Sse::new(steps).keep_alive(keep_alive)).into_response())
}

/// Each step as it comes, the present one first; ends with the last one. QRs are drawn by their own route.
fn steps(step: watch::Receiver<Step>) -> impl Stream<Item = Result<Event, axum::Error>> + Send {
    stream::unfold(Some((step, true)), |watching| async move {
        let (mut step, first) = watching?;
        if !first && step.changed().await.is_err() {
            return None;
        }
        let now = step.borrow_and_update().clone();
        let told = match &now {
            Step::ScanQr { expires_at, .. } => json!({ "step": "scan_qr", "expires_at": expires_at }),
            now => json!(now),
        };
        let next = (!now.is_end()).then_some((step, false));
        Some((Event::default().event("step").json_data(told), next))
    })
}

/// `GET /generator/attempts/{id}/qr`
async fn draw(State(generator): State<Generator>, Path(id): Path<String>, headers: HeaderMap) -> Answered {
    let step = generator.find(&id)?.step.borrow().clone();
    let Step::ScanQr { qr, .. } = step else {
        return Err(Refusal::new(StatusCode::CONFLICT, "not_pending", "There is no QR now."));
    };
    let (kind, picture) = picture(&qr, &headers).map_err(|error| Refusal::internal(&error))?;
    Ok((SECRET, [(CONTENT_TYPE, kind)], picture).into_response())
}

/// As SVG, unless PNG was asked for.
fn picture(qr: &str, headers: &HeaderMap) -> Result<(&'static str, Vec<u8>), QrError> {
    let image = QrImage::new(qr)?;
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    Ok(match accepted {
        Some("image/png") => ("image/png", image.png()?),
        _ => ("image/svg+xml", image.svg().into_bytes()),
    })
}

/// `POST /generator/attempts/{id}/take`
async fn take(State(generator): State<Generator>, Path(id): Path<String>) -> Answered {
    let taken = generator.find(&id)?.take();
    let detail = "The string is shown once, or not there yet.";
    let handover = taken.ok_or_else(|| Refusal::new(StatusCode::GONE, "already_taken", detail))?;
    Ok((SECRET, Json(handover)).into_response())
}

/// `DELETE /generator/attempts/{id}`
async fn give_up(State(generator): State<Generator>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    generator.find(&id)?.given_up.cancel();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
struct CodeFor {
    number: String,
}

/// `GET /code?number=15551234567`: for programs. The string goes to the account's own chat.
async fn code(State(generator): State<Generator>, visitor: Visitor, Asked(request): Asked<CodeFor>) -> Answered {
    let method = Method::Code(request.number.parse::<Phone>()?);
    let attempt = generator.begin(&visitor, method, true)?;
    let mut step = attempt.step.subscribe();
    let told = step.wait_for(|step| !matches!(step, Step::Connecting));
    let told = tokio::time::timeout(CODE_WITHIN, told).await;
    match told.map(|told| told.map(|step| step.clone())) {
        Ok(Ok(Step::EnterCode { code, expires_at })) => {
            Ok((SECRET, Json(json!({ "code": code, "expires_at": expires_at }))).into_response())
        }
        Ok(Ok(Step::Failed { reason })) => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "no_code", reason)),
        _ => {
            attempt.given_up.cancel();
            let detail = "WhatsApp gave no code in time. Try again.";
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    data: String,
    passphrase: Option<SecretString>,
}

/// A turn at credentials. Taken before a body is read, so that few of them are in memory whoever sends them.
struct Turn(OwnedSemaphorePermit);

impl FromRequestParts<Generator> for Turn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, generator: &Generator) -> Result<Self, Refusal> {
        let Ok(Visitor(address)) = Visitor::from_request_parts(parts, generator).await;
        generator.inner.limits.take_address(address)?;
        let turn = Arc::clone(&generator.inner.validating).try_acquire_owned();
        let detail = "Others are being served. Try again in a moment.";
        turn.map(Self)
            .map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail))
    }
}

/// `POST /generator/validate`: what is right and wrong with a string, or with the one that a short string leads to here;
/// nothing is stored.
async fn validate(State(generator): State<Generator>, Turn(turn): Turn, Body(request): Body<Check>) -> Answered {
    let Keeper { places, workspace } = &generator.inner.keeper;
    // Strangers make this server ask nobody else.
    let kept = places.fetch(*workspace, &request.data, false).await;
    let kept = kept.map_err(|error| Refusal::internal(&error))?;
    let looked = tokio::task::spawn_blocking(move || {
        let passphrase = request.passphrase.as_ref().map(ExposeSecret::expose_secret);
        let data = kept.as_deref().map_or(request.data.as_bytes(), Vec::as_slice);
        let looked = wharf_vault::examine(data, passphrase);
        // Not before: a visitor who went away does not end the work.
        drop(turn);
        looked
    });
    let looked = looked.await.map_err(|error| Refusal::internal(&error))?;
    let report = looked.map_err(|error| {
        let detail = format!("This cannot be read: {error}.");
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), detail)
    })?;
    Ok((SECRET, Json(wharf_api::described(&report))).into_response())
}
