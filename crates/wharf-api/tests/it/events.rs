use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use wharf_api::Scope;

use crate::app::{App, json_of, problem, text};

/// A reader of server-sent events, strict about their form.
struct Reader {
    bytes: Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    buffer: String,
}

#[derive(Debug)]
struct Frame {
    id: Option<String>,
    event: Option<String>,
    data: Option<Value>,
}

impl Reader {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            bytes: Box::pin(response.bytes_stream()),
            buffer: String::new(),
        }
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(parse(&frame));
            }
            let chunk = self.bytes.next().await?.unwrap();
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next that holds an event.
    async fn event(&mut self) -> Frame {
        loop {
            let frame = self.next().await.unwrap();
            if frame.data.is_some() {
                return frame;
            }
        }
    }
}

fn parse(text: &str) -> Frame {
    let field = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(|value| value.trim_start().to_owned())
    };
    Frame {
        id: field("id"),
        event: field("event"),
        data: field("data").map(|data| serde_json::from_str(&data).unwrap()),
    }
}

async fn feed(app: &App, query: &str) -> Value {
    json_of(app.get(&format!("/api/events?{query}")).send().await.unwrap(), 200).await
}

/// The feed, once it shows so many. On PostgreSQL an event can be read once no transaction runs that began before it, in
/// whatever database of the server: other tests run some.
async fn feed_of(app: &App, query: &str, least: usize) -> Value {
    let shown = async {
        loop {
            let page = feed(app, query).await;
            if page["data"].as_array().unwrap().len() >= least {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(30), shown).await;
    shown.unwrap_or_else(|_| panic!("the feed never showed {least} events"))
}

#[tokio::test]
async fn the_feed_goes_on_from_its_cursor() {
    let app = App::new().await;
    let session = app.session().await;
    for body in ["1", "2", "3"] {
        app.send(&session, body).await;
    }
    feed_of(&app, "types=message.*", 3).await;
    let first = feed(&app, "limit=2&types=message.*").await;
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let after = format!("types=message.*&after={}", text(&first["next_cursor"]));
    let second = feed(&app, &after).await;
    assert_eq!(second["data"].as_array().unwrap().len(), 1);
    let event = &second["data"][0];
    assert_eq!(
        (&event["type"], &event["session_id"]),
        (&json!("message.queued"), &json!(session))
    );
    assert_eq!(event["data"]["status"], "queued");
    let after = format!("after={}", text(&second["next_cursor"]));
    assert_eq!(feed(&app, &after).await["data"], json!([]));
    app.send(&session, "4").await;
    assert_eq!(feed_of(&app, &after, 1).await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_body_of_a_message_and_a_qr_are_in_no_event() {
    let app = App::new().await;
    let (session, _client) = app.pending("2@very-secret-link-text").await;
    app.send(&session, "very secret body").await;
    feed_of(&app, "types=message.queued", 1).await;
    let events = feed(&app, "limit=100").await.to_string();
    assert!(events.contains("session.qr") && events.contains("message.queued"));
    assert!(!events.contains("very-secret-link-text") && !events.contains("very secret body"));
}

#[tokio::test]
async fn a_stream_that_resumes_misses_nothing_and_repeats_nothing() {
    let app = App::new().await;
    let session = app.session().await;
    let mut seen = Vec::new();
    let mut reader = Reader::open(app.get("/api/events?types=message.queued")).await;
    let mut place = reader.next().await.unwrap().id.unwrap();
    let mut sent = Vec::new();
    for round in 0..4 {
        for number in 0..5 {
            sent.push(text(&app.send(&session, &format!("{round}.{number}")).await["id"]));
        }
        // Reads some, then hangs up in the middle; the rest comes after resuming.
        for _ in 0..3 {
            let frame = reader.event().await;
            assert_eq!(frame.event.as_deref(), Some("message.queued"));
            place = frame.id.unwrap();
            let data = frame.data.unwrap();
            assert_eq!(data["seq"], place.as_str());
            seen.push(text(&data["data"]["message_id"]));
        }
        let resume = app
            .get("/api/events?types=message.queued")
            .header("last-event-id", &place);
        reader = Reader::open(resume).await;
    }
    while seen.len() < sent.len() {
        seen.push(text(&reader.event().await.data.unwrap()["data"]["message_id"]));
    }
    assert_eq!(seen, sent);
    assert!(!place.is_empty());
}

#[tokio::test]
async fn a_stream_is_live_and_ends_when_the_server_stops() {
    let app = App::with(|config| config.stream_keep_alive_seconds = 1).await;
    let session = app.session().await;
    app.send(&session, "before").await;
    feed_of(&app, "types=message.queued", 1).await;
    let mut reader = Reader::open(app.get("/api/events")).await;
    assert!(reader.next().await.unwrap().id.is_some());
    app.send(&session, "after").await;
    assert_eq!(reader.event().await.data.unwrap()["type"], "message.queued");
    let comment = reader.next().await.unwrap();
    assert!(comment.data.is_none() && comment.event.is_none(), "{comment:?}");
    app.stop.cancel();
    while reader.next().await.is_some() {}
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_revoked() {
    let app = App::new().await;
    let body = json!({"label": "reader", "scopes": ["events:read"]});
    let made = json_of(app.post("/api/api-keys", &body).send().await.unwrap(), 201).await;
    let request = app
        .anonymous(Method::GET, "/api/events")
        .bearer_auth(text(&made["key"]));
    let mut reader = Reader::open(request).await;
    let path = format!("/api/api-keys/{}", text(&made["id"]));
    app.request(Method::DELETE, &path).send().await.unwrap();
    while reader.next().await.is_some() {}
}

/// KEY-5: whoever reads with a text is gone when the text is, although the key lives on.
#[tokio::test]
async fn a_stream_ends_with_the_text_of_its_key() {
    let app = App::new().await;
    let body = json!({"label": "reader", "scopes": ["events:read"]});
    let made = json_of(app.post("/api/api-keys", &body).send().await.unwrap(), 201).await;
    let request = app
        .anonymous(Method::GET, "/api/events")
        .bearer_auth(text(&made["key"]));
    let mut reader = Reader::open(request).await;
    let path = format!("/api/api-keys/{}/rotate", text(&made["id"]));
    let rotated = app.post(&path, &json!({"overlap_seconds": 0})).send().await.unwrap();
    json_of(rotated, 200).await;
    while reader.next().await.is_some() {}
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    let app = App::new().await;
    for (query, code) in [
        ("after=nonsense", "invalid_cursor"),
        ("types=nope.*", "invalid_query"),
        ("limit=101", "invalid_query"),
        ("limit=x", "invalid_query"),
        ("unknown=1", "invalid_query"),
        ("limit=1&limit=2", "invalid_query"),
    ] {
        let refused = app.get(&format!("/api/events?{query}")).send().await.unwrap();
        problem(refused, 400, code).await;
    }
    let stream = app
        .get("/api/events")
        .header("accept", "text/event-stream")
        .header("last-event-id", "x");
    problem(stream.send().await.unwrap(), 400, "invalid_cursor").await;
    let html = app
        .get("/api/events")
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    problem(html, 406, "not_acceptable").await;
}

#[tokio::test]
async fn another_workspaces_cursor_and_events_are_strange() {
    let app = App::new().await;
    let session = app.session().await;
    app.send(&session, "x").await;
    let own = feed_of(&app, "types=message.queued", 1).await;
    let stranger = app.stranger().await;
    let get = |path: String| app.anonymous(Method::GET, &path).bearer_auth(&stranger).send();
    let empty = json_of(get("/api/events".to_owned()).await.unwrap(), 200).await;
    assert_eq!(empty["data"], json!([]));
    let path = format!("/api/events?after={}", text(&own["next_cursor"]));
    problem(get(path).await.unwrap(), 400, "invalid_cursor").await;
}

#[tokio::test]
async fn a_limited_key_sees_the_events_of_its_sessions_only() {
    let app = App::new().await;
    let (own, other) = (app.session().await, app.session().await);
    app.send(&own, "a").await;
    app.send(&other, "b").await;
    let allowed = vec![own.parse().unwrap()];
    let key = app
        .key_with(app.workspace, |key| {
            key.scopes = vec![Scope::EventsRead.to_string()];
            key.sessions = Some(allowed);
        })
        .await;
    let get = |path: String| app.anonymous(Method::GET, &path).bearer_auth(&key).send();
    let readable = async {
        loop {
            let page = json_of(get("/api/events".to_owned()).await.unwrap(), 200).await;
            let events = page["data"].as_array().unwrap().clone();
            if !events.is_empty() {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // On PostgreSQL an event can be read once no transaction runs that began before it.
    let events = tokio::time::timeout(Duration::from_secs(30), readable)
        .await
        .expect("the events of the key's own session never came");
    assert!(events.iter().all(|event| event["session_id"] == own.as_str()));
    problem(
        get(format!("/api/events?session_id={other}")).await.unwrap(),
        404,
        "session_not_found",
    )
    .await;
}
