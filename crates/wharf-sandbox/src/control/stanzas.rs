//! The stanza log as one JSON object per line.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::{Problem, Query};
use crate::observation::StanzaExcerpt;
use crate::sandbox::Sandbox;

/// Lines of one answer unless the caller wants fewer.
const LINES: usize = 10_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// The number of the last line that is known.
    #[serde(default)]
    after: u64,
    /// Lines, at most 10,000.
    limit: Option<usize>,
}

/// The stanza log
#[utoipa::path(get, path = "/sandbox/api/stanzas", tag = "Network",
    params(ListParams),
    responses((status = 200, description = "One JSON object a line", body = String, content_type = "application/x-ndjson")))]
pub(super) async fn list(
    State(sandbox): State<Sandbox>,
    Query(params): Query<ListParams>,
) -> Result<Response, Problem> {
    let limit = params.limit.unwrap_or(LINES).min(LINES);
    let excerpt = sandbox.stanza_log(params.after, limit)?;
    let mut response = Response::new(Body::from(lines(&excerpt)?));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// A gap comes first, so that nobody reads on without having seen it.
fn lines(excerpt: &StanzaExcerpt) -> Result<Vec<u8>, Problem> {
    let mut lines = Vec::new();
    if excerpt.missed {
        lines.extend_from_slice(b"{\"missed\":true}\n");
    }
    for observation in &excerpt.observations {
        serde_json::to_writer(&mut lines, observation).map_err(|failure| Problem {
            status: http::StatusCode::INTERNAL_SERVER_ERROR,
            code: "not_json",
            detail: failure.to_string(),
        })?;
        lines.push(b'\n');
    }
    Ok(lines)
}
