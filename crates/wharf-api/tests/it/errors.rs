use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;
use wharf_api::ApiError;

use crate::app::{App, json_of, problem};

#[test]
fn the_catalogue_of_codes_is_stable() {
    let lines: Vec<String> = ApiError::catalogue()
        .iter()
        .map(|entry| {
            format!(
                "{} {} | {} | {}",
                entry.status.as_u16(),
                entry.code,
                entry.title,
                entry.meaning
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    let mut codes: Vec<_> = ApiError::catalogue().iter().map(|entry| entry.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), lines.len());
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let app = App::new().await;
    let nowhere = app.get("/api/nowhere").send().await.unwrap();
    problem(nowhere, 404, "route_not_found").await;
    let method = app.request(Method::PUT, "/api/sessions").send().await.unwrap();
    let allowed = method.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    problem(method, 405, "method_not_allowed").await;
    for id in [
        "msg_06bkrxzq3sx4h7e0p9c2d5t8vw",
        "x",
        "%00",
        "%ff%fe",
        "ses_06bkrxzq3sx4h7e0p9c2d5t8vw",
        "..%2f..",
    ] {
        let refused = app.get(&format!("/api/sessions/{id}")).send().await.unwrap();
        problem(refused, 404, "session_not_found").await;
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_told_apart() {
    let app = App::with(|config| config.max_body_bytes = 2048).await;
    let post = |kind: &'static str, body: Vec<u8>| {
        app.request(Method::POST, "/api/sessions")
            .header(CONTENT_TYPE, kind)
            .body(body)
            .send()
    };
    let json = "application/json";
    let broken = problem(
        post(json, b"{\n \"name\" 1}".to_vec()).await.unwrap(),
        400,
        "malformed_json",
    )
    .await;
    assert_eq!(broken["detail"], "The body stops being JSON at line 2, column 9.");
    for body in [
        &b""[..],
        b"\xff\xfe",
        b"{\"name\": \"\xff\"}",
        b"\0",
        b"{\"name\":\"a\"} {}",
    ] {
        problem(post(json, body.to_vec()).await.unwrap(), 400, "malformed_json").await;
    }
    let deep = [vec![b'['; 1500]].concat();
    problem(post(json, deep).await.unwrap(), 400, "malformed_json").await;
    problem(
        post("text/plain", b"{}".to_vec()).await.unwrap(),
        415,
        "unsupported_media_type",
    )
    .await;
    problem(post(json, vec![b' '; 4096]).await.unwrap(), 413, "body_too_large").await;
    for body in [
        json!([]),
        json!({}),
        json!({"name": 1}),
        json!({"name": "a", "x": 1}),
        json!({"name": " "}),
        json!(["support", null, null]),
    ] {
        problem(
            post(json, body.to_string().into_bytes()).await.unwrap(),
            422,
            "validation_failed",
        )
        .await;
    }
    let with_charset = post("application/json; charset=utf-8", b"{\"name\":\"a\"}".to_vec());
    json_of(with_charset.await.unwrap(), 201).await;
}

#[tokio::test]
async fn calls_without_a_body_take_none() {
    let app = App::new().await;
    let id = app.session().await;
    let path = format!("/api/sessions/{id}/disconnect");
    json_of(app.request(Method::POST, &path).send().await.unwrap(), 202).await;
    json_of(app.post(&path, &json!({})).send().await.unwrap(), 202).await;
    problem(
        app.post(&path, &json!({"force": true})).send().await.unwrap(),
        422,
        "validation_failed",
    )
    .await;
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_harmless() {
    let app = App::new().await;
    let id_of = async |given: &'static [u8]| {
        let value = HeaderValue::from_bytes(given).unwrap();
        let answer = app.get("/healthz").header("x-request-id", value).send().await.unwrap();
        answer.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id_of(b"trace-1.a:b_C").await, "trace-1.a:b_C");
    for wild in [&b"a b"[..], b"caf\xe9", b"\"quoted\"", &[b'x'; 200], b""] {
        assert!(id_of(wild).await.starts_with("req_"));
    }
}

#[tokio::test]
async fn header_garbage_is_refused_and_never_a_fault_of_ours() {
    let app = App::new().await;
    for name in [
        "authorization",
        "x-api-key",
        "accept",
        "cookie",
        "idempotency-key",
        "last-event-id",
        "x-forwarded-for",
    ] {
        for value in [&b"\xff\xfe\xfd"[..], b";;;;,,,,", b"q=NaN;q=inf", &[b'='; 4000]] {
            let value = HeaderValue::from_bytes(value).unwrap();
            for path in ["/api/sessions", "/api/events"] {
                let request = app.anonymous(Method::GET, path).header(name, value.clone());
                let answer = request.send().await.unwrap();
                assert!(answer.status().is_client_error(), "{name} {path} {}", answer.status());
            }
        }
    }
}

#[tokio::test]
async fn answers_carry_headers_that_keep_them_private() {
    let app = App::new().await;
    let answer = app.get("/api/sessions").send().await.unwrap();
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
}

#[tokio::test]
async fn closed_storage_is_unavailable_and_says_nothing_more() {
    let app = App::new().await;
    json_of(app.get("/api/sessions").send().await.unwrap(), 200).await;
    app.storage.clone().close().await;
    let refused = app.get("/api/sessions").send().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    problem(refused, 503, "storage_unavailable").await;
}

#[tokio::test]
async fn a_list_cursor_serves_its_own_list_only() {
    let app = App::new().await;
    for _ in 0..2 {
        app.session().await;
    }
    let page = json_of(app.get("/api/sessions?limit=1").send().await.unwrap(), 200).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    for path in [
        format!("/api/messages?cursor={cursor}"),
        "/api/sessions?cursor=abc".to_owned(),
    ] {
        problem(app.get(&path).send().await.unwrap(), 400, "invalid_cursor").await;
    }
}

#[tokio::test]
async fn credentials_may_be_larger_than_other_bodies() {
    const MIB: usize = 1024 * 1024;
    let app = App::new().await;
    let validate = |length: usize| {
        let body = json!({ "data": "{".repeat(length) });
        app.post("/api/sessions/validate", &body).send()
    };
    let told = problem(validate(3 * MIB).await.unwrap(), 422, "validation_failed").await;
    assert_eq!(told["errors"][0]["code"], "credentials_damaged", "{told}");
    let told = problem(validate(5 * MIB).await.unwrap(), 422, "validation_failed").await;
    assert_eq!(told["errors"][0]["code"], "credentials_too_large", "{told}");
    // A few bytes over the limit: what a server has not read when it answers is lost to the client.
    let told = problem(validate(8_454_144).await.unwrap(), 413, "body_too_large").await;
    assert!(told["detail"].as_str().unwrap().contains("8454144"), "{told}");
    let other = json!({ "name": "n".repeat(MIB) });
    problem(
        app.post("/api/sessions", &other).send().await.unwrap(),
        413,
        "body_too_large",
    )
    .await;
}
