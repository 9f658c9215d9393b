//! `GET /api/messages`

use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use wharf_model::Recipient;
use wharf_session::MessageQuery;

use super::body::MessageBody;
use crate::auth::Allowed;
use crate::error::{ApiError, FieldProblem};
use crate::extract::{ValidQuery, page_request};
use crate::rules;
use crate::scope::ReadMessages;
use crate::state::ApiState;
use crate::wire::{List, SessionIdText};

/// Which messages.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListMessages {
    /// Of one session.
    #[garde(skip)]
    #[param(nullable = false)]
    session_id: Option<SessionIdText>,
    /// Of one chat: a phone number or jid. Needs `session_id`.
    #[garde(custom(rules::optional_text(1, 64)))]
    #[param(nullable = false, min_length = 1, max_length = 64, example = "+15551234567")]
    chat: Option<String>,
    /// `outbound` or `inbound`.
    #[garde(custom(rules::optional_text(1, 16)))]
    #[param(nullable = false, max_length = 16, pattern = "^(outbound|inbound)$")]
    direction: Option<String>,
    /// Of one status.
    #[garde(custom(rules::optional_text(1, 16)))]
    #[param(
        nullable = false,
        max_length = 16,
        pattern = "^(queued|sending|sent|delivered|read|played|failed|cancelled|expired|received)$"
    )]
    status: Option<String>,
    /// How many items at most.
    #[serde(default = "default_limit")]
    #[garde(custom(rules::between(1, 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the page before; without it the first page.
    #[garde(custom(rules::cursor))]
    #[param(nullable = false, max_length = 128)]
    cursor: Option<String>,
}

const fn default_limit() -> u32 {
    20
}

impl ListMessages {
    fn query(&self) -> Result<MessageQuery, ApiError> {
        if self.chat.is_some() && self.session_id.is_none() {
            return Err(unusable("/chat", "Needs session_id beside it."));
        }
        Ok(MessageQuery {
            session: self.session_id.map(|id| id.0),
            chat: parsed::<Recipient>("/chat", self.chat.as_deref())?,
            direction: parsed("/direction", self.direction.as_deref())?,
            status: parsed("/status", self.status.as_deref())?,
        })
    }
}

fn parsed<T: std::str::FromStr>(pointer: &str, text: Option<&str>) -> Result<Option<T>, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.map(str::parse)
        .transpose()
        .map_err(|error: T::Err| unusable(pointer, &error.to_string()))
}

fn unusable(pointer: &str, detail: &str) -> ApiError {
    ApiError::InvalidQuery(vec![FieldProblem::new(pointer, "invalid_value", detail)])
}

/// List messages
///
/// Newest first, both directions.
#[utoipa::path(get, path = "/api/messages", tag = "Messages", security(("bearer" = ["messages:read"])),
    params(ListMessages),
    responses((status = 200, description = "A page of messages", body = List<MessageBody>),
        (status = 404, description = "No such session")))]
pub(crate) async fn list_messages(
    caller: Allowed<ReadMessages>,
    State(state): State<ApiState>,
    ValidQuery(request): ValidQuery<ListMessages>,
) -> Result<Json<List<MessageBody>>, ApiError> {
    let (workspace, query) = (caller.workspace(), request.query()?);
    if let Some(session) = query.session {
        caller.require_session(session)?;
        state.sessions.get(workspace, session).await?;
    }
    let page = page_request(request.limit, request.cursor);
    let mut messages = state.sessions.messages(workspace, query, page).await?;
    messages.rows.retain(|message| caller.sees(message.session_id));
    Ok(Json(List::of_page(messages, MessageBody::from)))
}
