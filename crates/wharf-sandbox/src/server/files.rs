//! What clients store and fetch by HTTP, on the port that they speak on: media, and profile pictures.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::clock::unix_seconds;
use crate::network::Network;
use crate::network::media::{MAX_FILE, Missing, Progress, token_of};

/// The kinds of files that are end-to-end encrypted, as they stand in the address of an upload.
const KINDS: [&str; 11] = [
    "image",
    "video",
    "audio",
    "document",
    "gif",
    "ptt",
    "sticker-pack",
    "thumbnail-sticker-pack",
    "thumbnail-link",
    "md-app-state",
    "md-msg-hist",
];

pub(crate) fn files(network: Arc<Network>) -> Router {
    Router::new()
        .route("/mms/{kind}/{token}", post(upload))
        .route("/media/{path}", get(download))
        .route("/pictures/{phone}/{id}", get(picture))
        .with_state(network)
}

#[derive(Debug, Deserialize)]
struct UploadParams {
    #[serde(default)]
    auth: String,
    /// `1` asks how far the upload came.
    #[serde(default)]
    resume: String,
    #[serde(default)]
    file_offset: usize,
}

/// Where a file is, or how much of it.
#[derive(Debug, Default, Serialize)]
struct Uploaded {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direct_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<String>,
}

type Refused = (StatusCode, &'static str);

async fn upload(
    State(network): State<Arc<Network>>,
    Path((kind, token)): Path<(String, String)>,
    Query(params): Query<UploadParams>,
    body: Body,
) -> Result<Json<Uploaded>, Refused> {
    if !KINDS.contains(&kind.as_str()) {
        network.unhandled.count(format!("upload {kind}"));
        return Err((StatusCode::NOT_FOUND, "files of this kind are not imitated\n"));
    }
    if !network.media.admits(&params.auth, unix_seconds()) {
        return Err((StatusCode::UNAUTHORIZED, "the pass for uploads is unknown or ran out\n"));
    }
    if params.resume == "1" {
        return Ok(Json(progress(&network, &token)));
    }
    let begun = network.media.resume(&token, params.file_offset);
    let begun = begun.ok_or((StatusCode::CONFLICT, "the upload did not come so far\n"))?;
    let bytes = receive(&network, &token, begun, body).await?;
    if token_of(&bytes) != token {
        return Err((StatusCode::BAD_REQUEST, "the file is not what its token says\n"));
    }
    let path = keep(&network, token, bytes).await?;
    Ok(Json(located(&network, &path)))
}

fn located(network: &Network, path: &str) -> Uploaded {
    let direct_path = format!("/media/{path}");
    Uploaded {
        url: Some(format!("https://{}{direct_path}", network.authority())),
        direct_path: Some(direct_path),
        resume: None,
    }
}

fn progress(network: &Network, token: &str) -> Uploaded {
    match network.media.progress(token) {
        Progress::Complete(path) => Uploaded {
            resume: Some("complete".to_owned()),
            ..located(network, &path)
        },
        Progress::Partial(bytes) => Uploaded {
            resume: Some(bytes.to_string()),
            ..Uploaded::default()
        },
        Progress::Nothing => Uploaded::default(),
    }
}

/// Takes the body in. What came before it broke off is kept, so that the client can go on from there.
async fn receive(network: &Network, token: &str, begun: BytesMut, body: Body) -> Result<Bytes, Refused> {
    let mut pausing = Pausing {
        network,
        token,
        bytes: Some(begun),
    };
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let (Ok(chunk), Some(bytes)) = (chunk, &mut pausing.bytes) else {
            return Err((StatusCode::BAD_REQUEST, "the upload broke off\n"));
        };
        if bytes.len() + chunk.len() > MAX_FILE {
            pausing.bytes = None;
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "a file has at most 64 MiB here\n"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(pausing.bytes.take().unwrap_or_default().freeze())
}

/// The task of a request ends without a word when its client goes away.
struct Pausing<'r> {
    network: &'r Network,
    token: &'r str,
    bytes: Option<BytesMut>,
}

impl Drop for Pausing<'_> {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes.take().filter(|bytes| !bytes.is_empty()) {
            self.network.media.pause(self.token.to_owned(), bytes);
        }
    }
}

async fn keep(network: &Network, token: String, bytes: Bytes) -> Result<String, Refused> {
    let (path, ticket) = network.keep_file(token, &bytes);
    let durable = network.durable(ticket).await;
    durable.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "the file cannot be kept\n"))?;
    Ok(path)
}

async fn download(State(network): State<Arc<Network>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    match network.media.fetch(&path) {
        Ok(bytes) => part_of(bytes, &headers),
        Err(Missing::Unknown) => StatusCode::NOT_FOUND.into_response(),
        Err(Missing::Expired) => StatusCode::GONE.into_response(),
    }
}

/// The whole file, or the one range that was asked for (RFC 9110, section 14.2); several are answered with the whole.
fn part_of(bytes: Bytes, headers: &HeaderMap) -> Response {
    let length = bytes.len() as u64;
    let plain = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ];
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let Some(Ok(parsed)) = asked.map(http_range_header::parse_range_header) else {
        return (plain, bytes).into_response();
    };
    match parsed.validate(length).as_deref() {
        Ok([one]) => {
            let (start, end) = (*one.start(), *one.end());
            let shown = range_header(&format!("bytes {start}-{end}/{length}"));
            // Validated: within the file, which is in memory.
            let part = bytes.slice(start as usize..=end as usize);
            (StatusCode::PARTIAL_CONTENT, plain, shown, part).into_response()
        }
        Ok(_) => (plain, bytes).into_response(),
        Err(_) => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            range_header(&format!("bytes */{length}")),
        )
            .into_response(),
    }
}

fn range_header(value: &str) -> [(HeaderName, String); 1] {
    [(header::CONTENT_RANGE, value.to_owned())]
}

/// Type and format are the client's affair: the network never looks into a picture.
async fn picture(
    State(network): State<Arc<Network>>,
    Path((phone, id)): Path<(String, String)>,
) -> Result<Response, StatusCode> {
    let account = network.directory.by_number(&phone).ok_or(StatusCode::NOT_FOUND)?;
    let state = account.state();
    let picture = state.picture.as_ref().filter(|picture| picture.id == id);
    let bytes = picture.ok_or(StatusCode::NOT_FOUND)?.bytes.clone();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, bytes).into_response())
}
