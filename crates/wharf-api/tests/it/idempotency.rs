use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::app::{App, json_of, message_to, problem};

async fn post(app: &App, path: &str, key: &str, body: &Value) -> Response {
    app.post(path, body)
        .header("idempotency-key", key)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_has_no_effect() {
    let app = App::new().await;
    let session = app.session().await;
    let body = message_to(&session, "once");
    let first = post(&app, "/api/messages", "order-1", &body).await;
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first = json_of(first, 202).await;
    let again = post(&app, "/api/messages", "order-1", &body).await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(json_of(again, 202).await, first);
    let listed = json_of(app.get("/api/messages").send().await.unwrap(), 200).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn another_body_or_path_under_the_same_key_is_refused() {
    let app = App::new().await;
    let session = app.session().await;
    json_of(post(&app, "/api/messages", "k", &message_to(&session, "a")).await, 202).await;
    let other = post(&app, "/api/messages", "k", &message_to(&session, "b")).await;
    problem(other, 422, "idempotency_mismatch").await;
    let elsewhere = post(&app, "/api/sessions", "k", &json!({"name": "x"})).await;
    problem(elsewhere, 422, "idempotency_mismatch").await;
}

#[tokio::test]
async fn twenty_at_once_make_one_message() {
    let app = App::new().await;
    let session = app.session().await;
    let body = message_to(&session, "one of twenty");
    let answers = join_all((0..20).map(|_| post(&app, "/api/messages", "burst", &body))).await;
    let mut ids = Vec::new();
    for answer in answers {
        ids.push(json_of(answer, 202).await["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let listed = json_of(app.get("/api/messages").send().await.unwrap(), 200).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_call_leaves_the_key_free() {
    let app = App::new().await;
    let session = app.session().await;
    let path = format!("/api/sessions/{session}/connect");
    let refused = post(&app, &path, "k", &json!({"method": "pairing_code"})).await;
    problem(refused, 422, "validation_failed").await;
    json_of(post(&app, &path, "k", &json!({})).await, 202).await;
    let replayed = post(&app, &path, "k", &json!({})).await;
    assert_eq!(replayed.headers()["idempotency-replayed"], "true");
}

#[tokio::test]
async fn orders_and_new_sessions_are_repeated_too() {
    let app = App::new().await;
    let body = json!({"name": "twice"});
    let first = json_of(post(&app, "/api/sessions", "s", &body).await, 201).await;
    assert_eq!(
        json_of(post(&app, "/api/sessions", "s", &body).await, 201).await["id"],
        first["id"]
    );
    let path = format!("/api/sessions/{}/disconnect", first["id"].as_str().unwrap());
    let order = || app.request(Method::POST, &path).header("idempotency-key", "d").send();
    json_of(order().await.unwrap(), 202).await;
    assert_eq!(order().await.unwrap().headers()["idempotency-replayed"], "true");
}

#[tokio::test]
async fn a_secret_is_answered_once_only() {
    let app = App::new().await;
    let body = json!({"label": "ci", "scopes": ["events:read"]});
    json_of(post(&app, "/api/api-keys", "new-key", &body).await, 201).await;
    problem(
        post(&app, "/api/api-keys", "new-key", &body).await,
        409,
        "secret_already_shown",
    )
    .await;
}

#[tokio::test]
async fn a_key_that_another_call_holds_is_in_progress() {
    let app = App::new().await;
    let claim = wharf_storage::idempotency::IdempotencyKey {
        workspace_id: app.workspace,
        key: "busy".to_owned(),
        fingerprint: wharf_storage::idempotency::fingerprint("POST", "/api/sessions", br#"{"name":"a"}"#),
    };
    let now = wharf_model::Clock::now(&*app.clock);
    let claimed = app.storage.write(wharf_storage::Queue::Normal, move |tx| {
        Box::pin(async move {
            let until = now + std::time::Duration::from_secs(60);
            wharf_storage::idempotency::claim(tx, &claim, now, until).await
        })
    });
    claimed.await.unwrap();
    let refused = post(&app, "/api/sessions", "busy", &json!({"name": "a"})).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    problem(refused, 409, "idempotency_in_progress").await;
}

/// What a call leaves whose end could not be stored.
#[tokio::test]
async fn a_claim_that_nobody_ended_lapses() {
    let app = App::new().await;
    let path = format!("/api/sessions/{}/disconnect", app.session().await);
    let claim = wharf_storage::idempotency::IdempotencyKey {
        workspace_id: app.workspace,
        key: "cut-short".to_owned(),
        fingerprint: wharf_storage::idempotency::fingerprint("POST", &path, b"{}"),
    };
    let now = wharf_model::Clock::now(&*app.clock);
    let until = now + wharf_api::CLAIM_LASTS;
    let claimed = app.storage.write(wharf_storage::Queue::Normal, move |tx| {
        Box::pin(async move { wharf_storage::idempotency::claim(tx, &claim, now, until).await })
    });
    claimed.await.unwrap();
    problem(
        post(&app, &path, "cut-short", &json!({})).await,
        409,
        "idempotency_in_progress",
    )
    .await;
    app.clock.advance(wharf_api::CLAIM_LASTS);
    json_of(post(&app, &path, "cut-short", &json!({})).await, 202).await;
    app.clock.advance(wharf_api::CLAIM_LASTS);
    let again = post(&app, &path, "cut-short", &json!({})).await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
}

#[tokio::test]
async fn a_key_must_be_short_printable_ascii_and_stand_once() {
    let app = App::new().await;
    let body = json!({"name": "a"});
    let long = "x".repeat(256);
    for key in ["", long.as_str()] {
        problem(
            post(&app, "/api/sessions", key, &body).await,
            400,
            "idempotency_key_invalid",
        )
        .await;
    }
    for value in [&b"caf\xe9"[..], b"tab\there"] {
        let value = reqwest::header::HeaderValue::from_bytes(value).unwrap();
        let refused = app
            .post("/api/sessions", &body)
            .header("idempotency-key", value)
            .send()
            .await
            .unwrap();
        problem(refused, 400, "idempotency_key_invalid").await;
    }
    let twice = app
        .post("/api/sessions", &body)
        .header("idempotency-key", "a")
        .header("idempotency-key", "b");
    problem(twice.send().await.unwrap(), 400, "idempotency_key_invalid").await;
}
