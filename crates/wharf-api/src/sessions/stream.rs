//! `GET /api/sessions/{id}/events`: this session, live, secrets included. What was missed is not repeated: the first
//! events tell how things stand.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures::StreamExt;
use futures::stream::{self, Stream};
use http::HeaderMap;
use tokio::sync::watch;
use wharf_model::SessionId;
use wharf_session::Live;

use super::body::SessionBody;
use super::pairing::PairingCodeBody;
use super::passkey::PasskeyBody;
use super::qr::QrBody;
use crate::auth::{Allowed, Caller};
use crate::error::ApiError;
use crate::extract::Id;
use crate::negotiate;
use crate::scope::LinkSessions;
use crate::sse::{self, EVENT_STREAM};
use crate::state::ApiState;
use crate::wire::SessionIdText;

const OFFERS: &[&str] = &[EVENT_STREAM];
/// How long the stream goes on before it asks whether its key is still good.
const RECHECK: Duration = Duration::from_secs(5);

/// Watch a session
///
/// Server-sent events, live only: `status` with the session, `qr` with `{qr, expires_at}`, `pairing_code` with
/// `{code, expires_at}`, `passkey` with `{public_key}` to sign, or `{code}` to compare. The first ones tell how things
/// stand. The stream ends when the session is deleted.
#[utoipa::path(get, path = "/api/sessions/{id}/events", tag = "Sessions",
    security(("bearer" = ["sessions:link"])),
    params(("id" = SessionIdText, Path, description = "The session")),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        (status = 406, description = "An event stream is not accepted")))]
pub(crate) async fn stream_session_events(
    caller: Allowed<LinkSessions>,
    State(state): State<ApiState>,
    Id(id): Id<SessionId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    negotiate::choose(&headers, OFFERS)?;
    caller.require_session(id)?;
    let live = state.sessions.watch(caller.workspace(), id).await?;
    let watcher = Watcher {
        state: state.clone(),
        caller: (*caller).clone(),
        session: id,
        live,
        told: None,
    };
    Ok(sse::response(&state, watcher.into_stream()))
}

struct Watcher {
    state: ApiState,
    caller: Caller,
    session: SessionId,
    live: watch::Receiver<Live>,
    told: Option<Live>,
}

impl Watcher {
    fn into_stream(self) -> impl Stream<Item = Result<Event, axum::Error>> + Send + use<> {
        let batches = stream::unfold(self, |mut watcher| async move {
            let batch = watcher.next_batch().await?;
            Some((stream::iter(batch), watcher))
        });
        batches.flatten()
    }

    /// What is new, once something is; `None` at the end.
    async fn next_batch(&mut self) -> Option<Vec<Result<Event, axum::Error>>> {
        loop {
            let now = self.live.borrow_and_update().clone();
            if now.deleted {
                return None;
            }
            let before = self.told.replace(now.clone());
            let batch = self.news(before.as_ref(), now).await?;
            if !batch.is_empty() {
                return Some(batch);
            }
            self.wait().await?;
        }
    }

    async fn news(&self, before: Option<&Live>, now: Live) -> Option<Vec<Result<Event, axum::Error>>> {
        let mut batch = Vec::new();
        if before.is_none_or(|before| before.state != now.state) {
            let session = self
                .state
                .sessions
                .get(self.caller.workspace(), self.session)
                .await
                .ok()?;
            batch.push(Event::default().event("status").json_data(SessionBody::from(session)));
        }
        if before.is_none_or(|before| before.qr != now.qr)
            && let Some(qr) = now.qr
        {
            batch.push(Event::default().event("qr").json_data(QrBody::from(qr)));
        }
        if before.is_none_or(|before| before.pairing_code != now.pairing_code)
            && let Some(code) = now.pairing_code
        {
            let code = PairingCodeBody::from(code);
            batch.push(Event::default().event("pairing_code").json_data(code));
        }
        if before.is_none_or(|before| before.passkey != now.passkey)
            && let Some(step) = now.passkey
        {
            batch.push(Event::default().event("passkey").json_data(PasskeyBody::from(step)));
        }
        Some(batch)
    }

    /// `None` when there will be no more: the actor is gone, or the key is no longer good.
    async fn wait(&mut self) -> Option<()> {
        match tokio::time::timeout(RECHECK, self.live.changed()).await {
            Ok(changed) => changed.ok(),
            Err(_) => match self.state.authenticator.is_valid(&self.caller).await {
                Ok(true) => Some(()),
                Ok(false) | Err(_) => None,
            },
        }
    }
}
