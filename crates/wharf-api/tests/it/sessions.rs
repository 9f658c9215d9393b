use std::time::Duration;

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use wharf_api::Scope;

use crate::app::{App, NO_CONTENT, json_of, problem};
use crate::script::REFUSED;

const QR: &str = "2@synthetic-link-text,abc,def,ghi";

#[tokio::test]
async fn a_session_is_made_read_changed_and_deleted() {
    let app = App::new().await;
    let body = json!({"name": "support", "metadata": {"team": ["a", 1]}, "pacing": {"per_minute": 5}});
    let made = json_of(app.post("/api/sessions", &body).send().await.unwrap(), 201).await;
    assert_eq!(
        (&made["status"], &made["pacing"]["per_minute"]),
        (&json!("not_started"), &json!(5))
    );
    let path = format!("/api/sessions/{}", made["id"].as_str().unwrap());
    assert_eq!(json_of(app.get(&path).send().await.unwrap(), 200).await, made);

    let patch = json!({"name": "sales", "metadata": null});
    let changed = app.request(Method::PATCH, &path).json(&patch).send().await.unwrap();
    let changed = json_of(changed, 200).await;
    assert_eq!(
        (&changed["name"], &changed["metadata"]),
        (&json!("sales"), &Value::Null)
    );
    assert_eq!(changed["pacing"]["per_minute"], 5);

    let deleted = app.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(deleted.status(), NO_CONTENT);
    problem(app.get(&path).send().await.unwrap(), 404, "session_not_found").await;
}

#[tokio::test]
async fn a_proxy_and_a_device_are_kept_and_a_password_is_not_shown() {
    let app = App::new().await;
    let body = json!({"name": "support", "proxy": "socks5://ann:secret@proxy.example.com",
        "device": {"os": "Windows", "browser": "edge"}});
    let made = json_of(app.post("/api/sessions", &body).send().await.unwrap(), 201).await;
    assert_eq!(made["proxy"], "socks5://proxy.example.com:1080");
    assert_eq!(made["device"], body["device"]);
    assert!(!made.to_string().contains("secret"));

    let path = format!("/api/sessions/{}", made["id"].as_str().unwrap());
    let patch = async |body: Value| app.request(Method::PATCH, &path).json(&body).send().await.unwrap();
    let renamed = json_of(patch(json!({"name": "sales"})).await, 200).await;
    assert_eq!(renamed["proxy"], made["proxy"]);
    let moved = json_of(patch(json!({"proxy": "http://10.0.0.1:3128"})).await, 200).await;
    assert_eq!(moved["proxy"], "http://10.0.0.1:3128");
    let without = json_of(patch(json!({"proxy": null})).await, 200).await;
    assert_eq!((&without["proxy"], &without["device"]), (&Value::Null, &body["device"]));
}

#[tokio::test]
async fn what_is_no_proxy_and_no_device_is_refused_by_field() {
    let app = App::new().await;
    for (field, value, pointer, code) in [
        ("proxy", json!("https://proxy.example.com"), "/proxy", "invalid_proxy"),
        ("proxy", json!("http://"), "/proxy", "invalid_proxy"),
        (
            "device",
            json!({"os": "a\tb", "browser": "chrome"}),
            "/device/os",
            "invalid_os",
        ),
    ] {
        let body = json!({"name": "support", field: value});
        let refused = problem(
            app.post("/api/sessions", &body).send().await.unwrap(),
            422,
            "validation_failed",
        )
        .await;
        let told = &refused["errors"][0];
        assert_eq!(
            (&told["pointer"], &told["code"]),
            (&json!(pointer), &json!(code)),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn pages_follow_the_cursor_without_gap_or_repeat() {
    let app = App::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.insert(0, app.session().await);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/sessions?limit=2{cursor}");
        let page = json_of(app.get(&path).send().await.unwrap(), 200).await;
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|session| session["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn the_qr_comes_in_four_formats() {
    let app = App::new().await;
    let (id, _client) = app.pending(QR).await;
    let qr = |accept: &'static str| {
        app.get(&format!("/api/sessions/{id}/qr"))
            .header("accept", accept)
            .send()
    };

    let json = json_of(qr("application/json").await.unwrap(), 200).await;
    assert_eq!(json["qr"], QR);
    assert!(json["expires_at"].as_str().unwrap().ends_with('Z'));
    let png = qr("image/png").await.unwrap();
    assert_eq!(
        (
            png.headers()["content-type"].clone(),
            png.headers()["cache-control"].clone()
        ),
        ("image/png".parse().unwrap(), "no-store".parse().unwrap())
    );
    let bytes = png.bytes().await.unwrap();
    png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let svg = qr("image/svg+xml").await.unwrap();
    assert_eq!(svg.headers()["content-type"], "image/svg+xml");
    assert!(svg.text().await.unwrap().starts_with("<svg xmlns"));
    let text = qr("text/plain").await.unwrap();
    assert_eq!(text.headers()["content-type"], "text/plain; charset=utf-8");
    assert!(text.text().await.unwrap().contains('█'));
    problem(qr("text/html").await.unwrap(), 406, "not_acceptable").await;
}

#[tokio::test]
async fn there_is_no_qr_unless_one_is_shown() {
    let app = App::new().await;
    let id = app.session().await;
    let path = format!("/api/sessions/{id}/qr");
    problem(app.get(&path).send().await.unwrap(), 409, "not_pending").await;
    let session = json_of(app.get(&format!("/api/sessions/{id}")).send().await.unwrap(), 200).await;
    assert!(session.get("qr_expires_at").is_none());
}

#[tokio::test]
async fn linking_leads_to_ready_and_disconnecting_back_with_a_history() {
    let app = App::new().await;
    let (id, client) = app.pending(QR).await;
    app.network.link(id.parse().unwrap());
    client.link();
    let ready = app.until(&id, "ready", |session| session["status"] == "ready").await;
    assert_eq!(ready["phone_number"], "+15550001111");
    assert_eq!(ready["platform"], "android");

    let off = app.request(Method::POST, &format!("/api/sessions/{id}/disconnect"));
    let off = json_of(off.send().await.unwrap(), 202).await;
    assert_eq!(
        (&off["status"], &off["disconnect_reason"]),
        (&json!("disconnected"), &json!("requested"))
    );

    let history = app.get(&format!("/api/sessions/{id}/history")).send().await.unwrap();
    let history = json_of(history, 200).await;
    let seen: Vec<_> = history["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["status"].clone())
        .collect();
    assert_eq!(seen.first(), Some(&json!("disconnected")));
    assert!(seen.contains(&json!("ready")) && seen.contains(&json!("pending")));

    let out = app.request(Method::POST, &format!("/api/sessions/{id}/logout"));
    assert_eq!(json_of(out.send().await.unwrap(), 202).await["status"], "not_started");
}

#[tokio::test]
async fn a_pairing_code_is_shown_where_it_was_asked_for_and_nowhere_else() {
    let app = App::new().await;
    let (id, client) = app.pending(QR).await;
    let path = format!("/api/sessions/{id}/pairing-code");
    let asked = app
        .post(&path, &json!({"phone": "+1 555 123 4567"}))
        .send()
        .await
        .unwrap();
    let answer = json_of(asked, 200).await;
    assert_eq!(answer["code"], "ABCD-EFGH");
    let shown = app.get(&format!("/api/sessions/{id}")).send().await.unwrap();
    let shown = json_of(shown, 200).await;
    assert_eq!(shown["connection_step"], "enter_code");
    assert_eq!(shown["pairing_code_expires_at"], answer["expires_at"]);
    assert!(!shown.to_string().contains("EFGH"), "{shown}");
    // On PostgreSQL an event is read once every unit of work that was under way has ended.
    let told = async {
        loop {
            let events = app.get("/api/events").send().await.unwrap().text().await.unwrap();
            if events.contains("session.pairing_code") {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let events = tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
    assert!(!events.contains("EFGH"), "{events}");
    for (body, code) in [
        (json!({"phone": "not a number"}), "validation_failed"),
        (json!({"phone": REFUSED}), "pairing_refused"),
    ] {
        problem(app.post(&path, &body).send().await.unwrap(), 422, code).await;
    }
    client.link();
    app.network.link(id.parse().unwrap());
    app.until(&id, "ready", |session| session["status"] == "ready").await;
    let late = app.post(&path, &json!({"phone": "+15551234567"})).send().await.unwrap();
    problem(late, 409, "already_linked").await;
}

#[tokio::test]
async fn a_code_needs_the_scope_of_linking_by_whatever_route() {
    let app = App::new().await;
    let id = app.session().await;
    let writer = app.key(&[Scope::SessionsWrite]).await;
    let body = json!({"phone": "+15551234567"});
    for route in ["connect", "pairing-code"] {
        let path = format!("/api/sessions/{id}/{route}");
        let call = app.anonymous(Method::POST, &path).bearer_auth(&writer).json(&body);
        problem(call.send().await.unwrap(), 403, "insufficient_scope").await;
    }
}

#[tokio::test]
async fn what_is_done_with_a_session_stands_in_the_audit_log_of_its_workspace() {
    let app = App::new().await;
    let (id, client) = app.pending(QR).await;
    client.link();
    app.network.link(id.parse().unwrap());
    app.until(&id, "ready", |session| session["status"] == "ready").await;
    let out = app.request(Method::POST, &format!("/api/sessions/{id}/logout"));
    json_of(out.send().await.unwrap(), 202).await;
    let audit = json_of(app.get("/api/audit").send().await.unwrap(), 200).await;
    let entries = audit["data"].as_array().unwrap();
    let done: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(done, ["session.logged_out", "session.linked"]);
    for entry in entries {
        assert_eq!(entry["session_id"], json!(id));
        assert!(
            entry["who"].as_str().unwrap().starts_with("key_") && entry["request_id"].is_string(),
            "{entry}"
        );
    }
    let stranger = app.stranger().await;
    let foreign = app.anonymous(Method::GET, "/api/audit").bearer_auth(stranger);
    let foreign = json_of(foreign.send().await.unwrap(), 200).await;
    assert_eq!(foreign["data"], json!([]));
    let reader = app.key(&[Scope::SessionsRead]).await;
    let refused = app.anonymous(Method::GET, "/api/audit").bearer_auth(reader);
    problem(refused.send().await.unwrap(), 403, "insufficient_scope").await;
}

#[tokio::test]
async fn connecting_by_code_needs_a_number() {
    let app = App::new().await;
    let id = app.session().await;
    let path = format!("/api/sessions/{id}/connect");
    let body = json!({"method": "pairing_code"});
    problem(app.post(&path, &body).send().await.unwrap(), 422, "validation_failed").await;
    let unknown = json!({"method": "smoke_signals"});
    problem(
        app.post(&path, &unknown).send().await.unwrap(),
        422,
        "validation_failed",
    )
    .await;
}

#[tokio::test]
async fn the_sessions_own_stream_tells_status_and_qr_and_ends_with_the_session() {
    let app = App::new().await;
    let (id, client) = app.pending(QR).await;
    let stream = app
        .get(&format!("/api/sessions/{id}/events"))
        .header("accept", "text/event-stream");
    let response = stream.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut bytes = response.bytes_stream();
    let mut text = String::new();
    while !text.contains("event: qr") || !text.contains(QR) {
        text.push_str(std::str::from_utf8(&bytes.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.contains("event: status"));
    client.show_qr("2@the-second-text,x,y,z");
    while !text.contains("2@the-second-text") {
        text.push_str(std::str::from_utf8(&bytes.next().await.unwrap().unwrap()).unwrap());
    }
    app.request(Method::DELETE, &format!("/api/sessions/{id}"))
        .send()
        .await
        .unwrap();
    while let Some(chunk) = bytes.next().await {
        chunk.unwrap();
    }
}

#[tokio::test]
async fn another_workspaces_session_does_not_exist() {
    let app = App::new().await;
    let (id, stranger) = (app.session().await, app.stranger().await);
    let as_stranger = |method, path: String| app.anonymous(method, &path).bearer_auth(&stranger).send();
    for (method, tail) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::GET, "/qr"),
        (Method::GET, "/history"),
        (Method::GET, "/events"),
        (Method::POST, "/connect"),
        (Method::POST, "/disconnect"),
        (Method::POST, "/restart"),
        (Method::POST, "/logout"),
    ] {
        let refused = if tail == "/events" {
            let request = app
                .anonymous(method, &format!("/api/sessions/{id}{tail}"))
                .bearer_auth(&stranger);
            request.header("accept", "text/event-stream").send().await
        } else {
            as_stranger(method, format!("/api/sessions/{id}{tail}")).await
        };
        problem(refused.unwrap(), 404, "session_not_found").await;
    }
    let listed = json_of(as_stranger(Method::GET, "/api/sessions".to_owned()).await.unwrap(), 200).await;
    assert_eq!(listed["data"], json!([]));
}
