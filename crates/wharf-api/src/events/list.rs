//! `GET /api/events`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use utoipa::IntoParams;
use wharf_storage::Cursor;
use wharf_storage::events::EventFilter;

use super::body::EventBody;
use super::filter::kinds_of;
use super::tail::{Start, Tail};
use crate::auth::Allowed;
use crate::error::ApiError;
use crate::extract::{Header, ValidQuery};
use crate::negotiate;
use crate::rules;
use crate::scope::ReadEvents;
use crate::sse::{self, EVENT_STREAM};
use crate::state::ApiState;
use crate::wire::{List, SessionIdText};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const OFFERS: &[&str] = &["application/json", EVENT_STREAM];

/// Which events.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Events behind this place: a `seq`, `next_cursor` or `Last-Event-ID`. Without it the feed starts with the oldest
    /// event and the stream with the next one.
    #[garde(custom(rules::cursor))]
    #[param(nullable = false, max_length = 128)]
    after: Option<String>,
    /// Event types or groups such as `message.*`, separated by commas; without it all.
    #[garde(custom(rules::optional_text(0, 1000)))]
    #[param(nullable = false, max_length = 1000, example = "message.*,session.status")]
    types: Option<String>,
    /// Of one session only.
    #[garde(skip)]
    #[param(nullable = false)]
    session_id: Option<SessionIdText>,
    /// How many events at most; a stream ignores it.
    #[serde(default = "default_limit")]
    #[garde(custom(rules::between(1, 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
}

const fn default_limit() -> u32 {
    20
}

/// Read events
///
/// As JSON a page of the log; `next_cursor` is always there, because the log goes on. With `Accept: text/event-stream`
/// a stream that resumes behind `Last-Event-ID`: each event's `id` is its `seq`, its `event` the type, its `data` the
/// same JSON object. After the server was restored from a backup, older cursors are answered with `cursor_expired`: read
/// from the start again.
#[utoipa::path(get, path = "/api/events", tag = "Events", security(("bearer" = ["events:read"])),
    params(EventQuery, ("Last-Event-ID" = Option<String>, Header, description = "Where a stream resumes",
        nullable = false, max_length = 128)),
    responses((status = 200, description = "A page of events, or the stream", content(
        (List<EventBody> = "application/json"), (String = "text/event-stream"))),
        (status = 406, description = "Neither JSON nor an event stream is accepted"),
        (status = 410, description = "The cursor is from before a restore")))]
pub(crate) async fn list_events(
    caller: Allowed<ReadEvents>,
    State(state): State<ApiState>,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<EventQuery>,
) -> Result<Response, ApiError> {
    let streams = negotiate::choose(&headers, OFFERS)? == EVENT_STREAM;
    let resumed = Header::text(&headers, LAST_EVENT_ID, ApiError::InvalidCursor)?;
    // Refused in both forms, although only a stream resumes by it: a page that ignored it would hide the mistake.
    if resumed.is_some_and(|text| text.len() > rules::MAX_CURSOR) {
        return Err(ApiError::InvalidCursor);
    }
    let after = resumed
        .filter(|_| streams)
        .or(query.after.as_deref())
        .filter(|text| !text.is_empty());
    let start = match after {
        Some(text) => Start::Behind(Cursor::from_text(text)),
        None if streams => Start::Now,
        None => Start::Oldest,
    };
    let session = query.session_id.map(|id| id.0);
    session.map_or(Ok(()), |session| caller.require_session(session))?;
    let kinds = kinds_of(query.types.as_deref().unwrap_or_default())?;
    let filter = EventFilter { kinds, session };
    let mut tail = Tail::new(state.clone(), (*caller).clone(), start, filter).await?;
    if streams {
        return Ok(sse::response(&state, tail.into_stream()));
    }
    let events = tail.page(query.limit).await?;
    let list = List {
        data: events,
        next_cursor: Some(tail.cursor()),
    };
    Ok(Json(list).into_response())
}
