use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use wharf_api::{RatePolicy, Scope};
use wharf_model::{ApiKeyId, Clock};
use wharf_storage::api_keys;

use crate::app::{App, NO_CONTENT, json_of, problem, session_id, text};

const PAGE: &str = include_str!("../../../../docs/keys.md");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn create(app: &App, body: &Value) -> Value {
    json_of(app.post("/api/api-keys", body).send().await.unwrap(), 201).await
}

/// A key that reads sessions: its text and its id.
async fn reader(app: &App) -> (String, String) {
    let made = create(app, &json!({"label": "reader", "scopes": ["sessions:read"]})).await;
    (text(&made["key"]), text(&made["id"]))
}

async fn call(app: &App, key: &str) -> Response {
    let request = app.anonymous(Method::GET, "/api/sessions").bearer_auth(key);
    request.send().await.unwrap()
}

/// Its new text, and the answer.
async fn rotate(app: &App, id: &str, overlap: Duration) -> (String, Value) {
    let body = json!({"overlap_seconds": overlap.as_secs()});
    let rotated = app.post(&format!("/api/api-keys/{id}/rotate"), &body).send();
    let rotated = json_of(rotated.await.unwrap(), 200).await;
    (text(&rotated["key"]), rotated)
}

async fn end_own(app: &App, key: &str) -> Response {
    let request = app.anonymous(Method::DELETE, "/api/api-keys/self").bearer_auth(key);
    request.send().await.unwrap()
}

async fn about(app: &App, id: &str) -> Value {
    let found = app.get(&format!("/api/api-keys/{id}")).send().await.unwrap();
    json_of(found, 200).await
}

#[tokio::test]
async fn a_key_is_shown_once_works_counts_and_stops_at_once() {
    let app = App::new().await;
    let made = create(
        &app,
        &json!({"label": "ci", "scopes": ["sessions:read", "sessions:read"]}),
    )
    .await;
    let (key, id) = (text(&made["key"]), text(&made["id"]));
    assert!(key.starts_with(made["prefix"].as_str().unwrap()));
    assert_eq!(
        (&made["scopes"], &made["status"]),
        (&json!(["sessions:read"]), &json!("active"))
    );
    let call = || app.anonymous(Method::GET, "/api/sessions").bearer_auth(&key).send();
    for _ in 0..3 {
        json_of(call().await.unwrap(), 200).await;
    }
    let path = format!("/api/api-keys/{id}");
    let about = json_of(app.get(&path).send().await.unwrap(), 200).await;
    assert_eq!(about["usage_count"], 3);
    assert!(about.get("key").is_none());
    app.state.flush_usage().await;
    assert_eq!(
        json_of(app.get(&path).send().await.unwrap(), 200).await["usage_count"],
        3
    );

    let revoked = app.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(revoked.status(), NO_CONTENT);
    problem(call().await.unwrap(), 401, "api_key_revoked").await;
    let listed = json_of(app.get("/api/api-keys").send().await.unwrap(), 200).await;
    let status = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == id.as_str())
        .unwrap();
    assert_eq!(status["status"], "revoked");
    assert!(!listed.to_string().contains(&key));
}

#[tokio::test]
async fn what_a_key_is_limited_to_is_checked() {
    let app = App::new().await;
    let fine = |change: Value| {
        let mut body = json!({"label": "ci", "scopes": ["admin"]});
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        body
    };
    for (body, pointer) in [
        (fine(json!({"scopes": []})), "/scopes"),
        (fine(json!({"scopes": ["root"]})), "/scopes/0"),
        (fine(json!({"label": ""})), "/label"),
        (fine(json!({"ips": ["here"]})), "/ips"),
        (fine(json!({"expires_at": "2001-01-01T00:00:00Z"})), "/expires_at"),
        (
            fine(json!({"sessions": ["ses_06bkrxzq3sx4h7e0p9c2d5t8vw"]})),
            "/sessions/0",
        ),
    ] {
        let refused = app.post("/api/api-keys", &body).send().await.unwrap();
        let refused = problem(refused, 422, "validation_failed").await;
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let session = app.session().await;
    let made = create(&app, &fine(json!({"sessions": [session], "ips": ["127.0.0.0/8"]}))).await;
    assert_eq!(made["sessions"], json!([session]));
}

#[tokio::test]
async fn another_workspaces_key_does_not_exist() {
    let app = App::new().await;
    let made = create(&app, &json!({"label": "ci", "scopes": ["admin"]})).await;
    let stranger = app.stranger().await;
    let path = format!("/api/api-keys/{}", text(&made["id"]));
    let rotate = format!("{path}/rotate");
    for (method, path) in [(Method::GET, &path), (Method::DELETE, &path), (Method::POST, &rotate)] {
        let refused = app.anonymous(method, path).bearer_auth(&stranger).send().await.unwrap();
        problem(refused, 404, "api_key_not_found").await;
    }
}

/// KEY-1: what the page tells scanners to look for is what is made, and what the description says.
#[tokio::test]
async fn the_form_of_a_key_is_the_published_one() {
    let expression = "wharf_(live|test)_[0-9A-Za-z]{38}";
    assert!(PAGE.contains(expression));
    let document: Value = serde_json::from_str(&wharf_api::document().unwrap()).unwrap();
    let described = &document["components"]["schemas"]["NewApiKey"]["allOf"][1]["properties"]["key"]["pattern"];
    assert_eq!(described, &json!(format!("^{expression}$")));
    let app = App::new().await;
    let (key, id) = reader(&app).await;
    let tail = key.strip_prefix("wharf_test_").unwrap();
    assert!(tail.len() == 38 && tail.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert!(!about(&app, &id).await.to_string().contains(&key));
}

/// KEY-4: whoever reads the page knows all that a key may be given.
#[test]
fn the_page_names_every_scope_once() {
    for scope in Scope::ALL {
        assert_eq!(PAGE.matches(&format!("| `{scope}` |")).count(), 1, "{scope}");
    }
}

/// KEY-4: every operation is closed to a key that was not given its scope, whatever else it was given.
#[tokio::test]
async fn what_a_key_was_not_given_it_may_not_do() {
    let app = App::new().await;
    let none = app.key_with(app.workspace, |key| key.scopes = Vec::new()).await;
    let document: Value = serde_json::from_str(&wharf_api::document().unwrap()).unwrap();
    let mut closed = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(scope) = operation["security"][0]["bearer"][0].as_str() else {
                continue;
            };
            let others: Vec<_> = Scope::ALL
                .into_iter()
                .filter(|other| *other != Scope::Admin && other.as_str() != scope)
                .collect();
            let method: Method = method.to_uppercase().parse().unwrap();
            for key in [&none, &app.key(&others).await] {
                let refused = app.anonymous(method.clone(), path).bearer_auth(key).send();
                let refused = problem(refused.await.unwrap(), 403, "insufficient_scope").await;
                assert!(
                    refused["detail"].as_str().unwrap().contains(scope),
                    "{method} {path}: {refused}"
                );
                closed += 1;
            }
        }
    }
    assert!(
        closed > 60,
        "the description names few operations with a scope: {closed}"
    );
}

/// KEY-2: each node believes what it knows of a key for a second at most.
#[tokio::test]
async fn a_revoked_key_is_refused_by_every_node_within_a_second() {
    let app = App::new().await;
    let elsewhere = app.second_node().await;
    let (key, id) = reader(&app).await;
    let there = || {
        app.http
            .get(format!("{elsewhere}/api/sessions"))
            .bearer_auth(&key)
            .send()
    };
    json_of(there().await.unwrap(), 200).await;
    let revoke = app.request(Method::DELETE, &format!("/api/api-keys/{id}")).send();
    assert_eq!(revoke.await.unwrap().status(), NO_CONTENT);
    let revoked = Instant::now();
    problem(call(&app, &key).await, 401, "api_key_revoked").await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        let began = revoked.elapsed();
        let answer = there().await.unwrap();
        if answer.status() == 401 {
            problem(answer, 401, "api_key_revoked").await;
            break;
        }
        assert!(began <= Duration::from_secs(1), "it was let in {began:?} after the end");
    }
}

/// KEY-5: the new text works at once, the old one to the last millisecond of the overlap.
#[tokio::test]
async fn a_rotated_key_has_two_texts_for_the_overlap() {
    let app = App::new().await;
    app.clock.stop();
    let (old, id) = reader(&app).await;
    assert_eq!(about(&app, &id).await["previous_valid_until"], Value::Null);
    let until = app.clock.now() + DAY;
    json_of(call(&app, &old).await, 200).await;
    let (new, rotated) = rotate(&app, &id, DAY).await;
    assert_ne!(new, old);
    assert_eq!(
        (&rotated["id"], &rotated["scopes"]),
        (&json!(id), &json!(["sessions:read"]))
    );
    assert!(new.starts_with(rotated["prefix"].as_str().unwrap()));
    assert_eq!(rotated["previous_valid_until"], until.to_string());
    for key in [&new, &old] {
        json_of(call(&app, key).await, 200).await;
    }
    assert_eq!(
        about(&app, &id).await["usage_count"],
        3,
        "uses of both are uses of the key"
    );
    app.clock.advance(DAY - Duration::from_millis(1));
    json_of(call(&app, &old).await, 200).await;
    app.clock.advance(Duration::from_millis(1));
    problem(call(&app, &old).await, 401, "api_key_rotated").await;
    json_of(call(&app, &new).await, 200).await;
}

/// KEY-5: a day where nothing is said, seven at most, and 0 ends the old text at once.
#[tokio::test]
async fn the_overlap_is_chosen() {
    let app = App::new().await;
    app.clock.stop();
    let (first, id) = reader(&app).await;
    let path = format!("/api/api-keys/{id}/rotate");
    for body in [
        json!({"overlap_seconds": 604_801}),
        json!({"overlap_seconds": -1}),
        json!({"overlap": 1}),
    ] {
        let refused = app.post(&path, &body).send().await.unwrap();
        problem(refused, 422, "validation_failed").await;
    }
    json_of(call(&app, &first).await, 200).await;
    let unsaid = app.request(Method::POST, &path).send().await.unwrap();
    let unsaid = json_of(unsaid, 200).await;
    assert_eq!(unsaid["previous_valid_until"], (app.clock.now() + DAY).to_string());
    let second = text(&unsaid["key"]);
    let (third, rotated) = rotate(&app, &id, DAY * 7).await;
    assert_eq!(rotated["previous_valid_until"], (app.clock.now() + DAY * 7).to_string());
    let (fourth, _) = rotate(&app, &id, Duration::ZERO).await;
    problem(call(&app, &first).await, 401, "api_key_unknown").await;
    problem(call(&app, &second).await, 401, "api_key_unknown").await;
    problem(call(&app, &third).await, 401, "api_key_rotated").await;
    json_of(call(&app, &fourth).await, 200).await;
}

/// KEY-5: there are never more than two.
#[tokio::test]
async fn a_second_rotation_ends_the_first_text_within_its_overlap() {
    let app = App::new().await;
    let (first, id) = reader(&app).await;
    let (second, _) = rotate(&app, &id, DAY).await;
    for key in [&first, &second] {
        json_of(call(&app, key).await, 200).await;
    }
    let (third, _) = rotate(&app, &id, DAY).await;
    problem(call(&app, &first).await, 401, "api_key_unknown").await;
    for key in [&second, &third] {
        json_of(call(&app, key).await, 200).await;
    }
    let revoke = app.request(Method::DELETE, &format!("/api/api-keys/{id}")).send();
    assert_eq!(revoke.await.unwrap().status(), NO_CONTENT);
    for key in [&second, &third] {
        problem(call(&app, key).await, 401, "api_key_revoked").await;
    }
    assert_eq!(about(&app, &id).await["previous_valid_until"], Value::Null);
}

/// KEY-5: a repeat neither shows the secret again nor rotates again.
#[tokio::test]
async fn the_new_text_is_shown_once() {
    let app = App::new().await;
    let (_, id) = reader(&app).await;
    let path = format!("/api/api-keys/{id}/rotate");
    let rotate = || app.post(&path, &json!({})).header("idempotency-key", "monthly").send();
    let rotated = json_of(rotate().await.unwrap(), 200).await;
    problem(rotate().await.unwrap(), 409, "secret_already_shown").await;
    json_of(call(&app, &text(&rotated["key"])).await, 200).await;
    assert!(!about(&app, &id).await.to_string().contains(&text(&rotated["key"])));
}

/// KEY-5: claim and rotation are one unit. Nobody finds the claim of a rotation that is not there yet, not even on a node
/// that starts afterwards, and the text that programs use is the one before the last.
#[tokio::test]
async fn of_twenty_repeats_one_rotates_and_none_finds_it_half_done() {
    let app = App::new().await;
    let elsewhere = app.second_node().await;
    let (used, id) = reader(&app).await;
    let rotate = |server: &str| {
        let path = format!("{server}/api/api-keys/{id}/rotate");
        let request = app.http.post(path).bearer_auth(&app.admin).json(&json!({}));
        request.header("idempotency-key", "monthly").send()
    };
    let servers = [&app.url, &elsewhere];
    let answers = join_all((0..20).map(|index| rotate(servers[index % 2]))).await;
    let mut texts = Vec::new();
    for answer in answers.into_iter().map(Result::unwrap) {
        if answer.status() == 200 {
            texts.push(text(&json_of(answer, 200).await["key"]));
        } else {
            problem(answer, 409, "secret_already_shown").await;
        }
    }
    assert_eq!(texts.len(), 1);
    let restarted = app.second_node().await;
    problem(rotate(&restarted).await.unwrap(), 409, "secret_already_shown").await;
    for key in [&used, &texts[0]] {
        json_of(call(&app, key).await, 200).await;
    }
}

/// KEY-5: a unit that is rolled back leaves neither a rotation nor a claim.
#[tokio::test]
async fn a_refused_rotation_leaves_its_idempotency_key_free() {
    let app = App::new().await;
    let (_, id) = reader(&app).await;
    let path = format!("/api/api-keys/{id}/rotate");
    let body = json!({"replace_latest": true});
    let replace = || app.post(&path, &body).header("idempotency-key", "lost").send();
    problem(replace().await.unwrap(), 422, "validation_failed").await;
    assert_eq!(about(&app, &id).await["previous_valid_until"], Value::Null);
    rotate(&app, &id, DAY).await;
    json_of(replace().await.unwrap(), 200).await;
    problem(replace().await.unwrap(), 409, "secret_already_shown").await;
}

/// A repeat gets the first answer, also when the call itself would be refused by then.
#[tokio::test]
async fn a_key_that_was_made_and_has_expired_is_not_asked_for_anew() {
    let app = App::new().await;
    app.clock.stop();
    let soon = (app.clock.now() + DAY / 24).to_string();
    let body = json!({"label": "short", "scopes": ["sessions:read"], "expires_at": soon});
    let make = || app.post("/api/api-keys", &body).header("idempotency-key", "k").send();
    json_of(make().await.unwrap(), 201).await;
    app.clock.advance(DAY / 12);
    problem(make().await.unwrap(), 409, "secret_already_shown").await;
}

/// KEY-5: an answer that was lost costs nothing. The text that programs use works on, for as long as was said.
#[tokio::test]
async fn a_text_that_nobody_received_is_replaced() {
    let app = App::new().await;
    app.clock.stop();
    let (used, id) = reader(&app).await;
    let path = format!("/api/api-keys/{id}/rotate");
    let replace = || app.post(&path, &json!({"replace_latest": true})).send();
    let without_overlap = async || {
        let refused = problem(replace().await.unwrap(), 422, "validation_failed").await;
        assert_eq!(refused["errors"][0]["pointer"], "/replace_latest", "{refused}");
        assert_eq!(refused["errors"][0]["code"], "no_overlap", "{refused}");
    };
    without_overlap().await;
    let (lost, rotated) = rotate(&app, &id, DAY).await;
    app.clock.advance(DAY / 2);
    let replaced = json_of(replace().await.unwrap(), 200).await;
    assert_eq!(replaced["previous_valid_until"], rotated["previous_valid_until"]);
    let new = text(&replaced["key"]);
    problem(call(&app, &lost).await, 401, "api_key_unknown").await;
    for key in [&used, &new] {
        json_of(call(&app, key).await, 200).await;
    }
    app.clock.advance(DAY / 2);
    problem(call(&app, &used).await, 401, "api_key_rotated").await;
    without_overlap().await;
    json_of(call(&app, &new).await, 200).await;
}

/// KEY-5: whoever loses the answer has a text left to ask with again.
#[tokio::test]
async fn a_key_that_rotates_itself_keeps_a_way_back() {
    let app = App::new().await;
    let made = create(&app, &json!({"label": "own", "scopes": ["admin"]})).await;
    let (own, path) = (
        text(&made["key"]),
        format!("/api/api-keys/{}/rotate", text(&made["id"])),
    );
    let rotate = |key: &str, seconds: u32| {
        let request = app.anonymous(Method::POST, &path).bearer_auth(key);
        request.json(&json!({"overlap_seconds": seconds})).send()
    };
    for seconds in [0, 59] {
        let refused = problem(rotate(&own, seconds).await.unwrap(), 422, "validation_failed").await;
        assert_eq!(refused["errors"][0]["pointer"], "/overlap_seconds", "{refused}");
        assert_eq!(refused["errors"][0]["code"], "out_of_range", "{refused}");
    }
    json_of(rotate(&own, 60).await.unwrap(), 200).await;
    json_of(call(&app, &own).await, 200).await;
    json_of(rotate(&app.admin, 0).await.unwrap(), 200).await;
    problem(call(&app, &own).await, 401, "api_key_unknown").await;
}

/// KEY-3: no call waits for the count of its key, which is written for many calls at once.
#[tokio::test]
async fn key_3_uses_are_written_by_the_batch_alone() {
    const CALLS: u64 = 30;
    let app = App::new().await;
    let (key, id) = reader(&app).await;
    let (workspace, id): (_, ApiKeyId) = (app.workspace, id.parse().unwrap());
    let stored = async || {
        let read = app.storage.read(move |tx| Box::pin(api_keys::get(tx, workspace, id)));
        let stored = read.await.unwrap().unwrap();
        (stored.usage_count, stored.last_used_at.is_some())
    };
    for _ in 0..CALLS {
        json_of(call(&app, &key).await, 200).await;
    }
    assert_eq!(stored().await, (0, false), "a call has written");
    assert_eq!(about(&app, &id.to_string()).await["usage_count"], CALLS);
    for _ in 0..2 {
        app.state.flush_usage().await;
        assert_eq!(stored().await, (CALLS, true), "each use is written once");
    }
}

/// KEY-5: what was ended stays ended.
#[tokio::test]
async fn a_key_that_has_ended_gets_no_new_text() {
    let app = App::new().await;
    let (key, revoked) = reader(&app).await;
    assert_eq!(end_own(&app, &key).await.status(), NO_CONTENT);
    let soon = (app.clock.now() + DAY).to_string();
    let body = json!({"label": "short", "scopes": ["sessions:read"], "expires_at": soon});
    let expired = text(&create(&app, &body).await["id"]);
    app.clock.advance(DAY);
    for id in [revoked, expired] {
        let refused = app.post(&format!("/api/api-keys/{id}/rotate"), &json!({})).send();
        problem(refused.await.unwrap(), 409, "api_key_inactive").await;
    }
}

/// KEY-5: whoever finds a key ends it, from wherever he is and whatever it may do.
#[tokio::test]
async fn a_found_key_is_ended_by_itself() {
    let app = App::new().await;
    let own = session_id(&app.session().await);
    let found = app
        .key_with(app.workspace, |key| {
            key.scopes = vec!["messages:read".to_owned()];
            key.sessions = Some(vec![own]);
            key.ips = Some(vec!["198.51.100.0/24".to_owned()]);
        })
        .await;
    problem(call(&app, &found).await, 403, "address_not_allowed").await;
    let ended = end_own(&app, &found).await;
    assert_eq!(ended.status(), NO_CONTENT);
    problem(call(&app, &found).await, 401, "api_key_revoked").await;
    problem(end_own(&app, &found).await, 401, "api_key_revoked").await;
    json_of(app.get("/api/sessions").send().await.unwrap(), 200).await;
    let asked = app.get("/api/api-keys/self").send().await.unwrap();
    problem(asked, 405, "method_not_allowed").await;
}

/// KEY-5: with one text of a key goes the other; a text whose time is over ends nothing.
#[tokio::test]
async fn a_text_that_was_found_ends_the_whole_key_while_it_works() {
    let app = App::new().await;
    let (old, id) = reader(&app).await;
    let (new, _) = rotate(&app, &id, Duration::ZERO).await;
    problem(end_own(&app, &old).await, 401, "api_key_rotated").await;
    let (newest, _) = rotate(&app, &id, DAY).await;
    assert_eq!(end_own(&app, &new).await.status(), NO_CONTENT);
    for key in [&new, &newest] {
        problem(call(&app, key).await, 401, "api_key_revoked").await;
    }
}

/// KEY-5: a thief cannot keep the key alive by using its rate up, and nobody tries keys here for nothing.
#[tokio::test]
async fn the_kill_switch_has_the_limits_of_the_address_alone() {
    let app = App::with(|config| {
        config.rate_per_key = RatePolicy::new(1, 60);
        config.failed_auth_per_address = RatePolicy::new(2, 60);
    })
    .await;
    let stolen = app.key(&[Scope::SessionsRead]).await;
    json_of(call(&app, &stolen).await, 200).await;
    problem(call(&app, &stolen).await, 429, "rate_limited").await;
    assert_eq!(end_own(&app, &stolen).await.status(), NO_CONTENT);
    problem(end_own(&app, "wrong").await, 401, "api_key_malformed").await;
    problem(end_own(&app, &stolen).await, 401, "api_key_revoked").await;
    problem(end_own(&app, "wrong").await, 429, "auth_rate_limited").await;
    let page = app
        .anonymous(Method::DELETE, "/api/api-keys/self")
        .header("cookie", "wharf_demo=let-me-in");
    problem(page.send().await.unwrap(), 401, "unauthenticated").await;
}

/// KEY-5: a key counts as used when it was, written down or not, and a key that has ended harms nobody.
#[tokio::test]
async fn the_report_shows_the_keys_that_nobody_uses() {
    let app = App::new().await;
    app.clock.stop();
    let ids = async |days: u32| {
        let listed = app.get(&format!("/api/api-keys?unused_for_days={days}")).send();
        let listed = json_of(listed.await.unwrap(), 200).await;
        let keys = listed["data"].as_array().unwrap().clone();
        keys.iter().map(|key| text(&key["id"])).collect::<Vec<_>>()
    };
    let (idle, written, counted) = (reader(&app).await, reader(&app).await, reader(&app).await);
    let ended = reader(&app).await;
    assert_eq!(end_own(&app, &ended.0).await.status(), NO_CONTENT);
    app.clock.advance(DAY * 90);
    assert!(ids(90).await.is_empty(), "90 days are not more than 90 days");
    json_of(call(&app, &written.0).await, 200).await;
    app.state.flush_usage().await;
    app.clock.advance(Duration::from_millis(1));
    json_of(call(&app, &counted.0).await, 200).await;
    assert_eq!(ids(90).await, std::slice::from_ref(&idle.1));
    app.clock.advance(DAY);
    app.state.flush_usage().await;
    assert_eq!(ids(1).await, [written.1, idle.1]);
    for wrong in ["0", "3651", "-1", "x"] {
        let refused = app.get(&format!("/api/api-keys?unused_for_days={wrong}")).send();
        problem(refused.await.unwrap(), 400, "invalid_query").await;
    }
}

/// AUD-1: who made, rotated and ended a key, and which one.
#[tokio::test]
async fn what_is_done_with_a_key_stands_in_the_audit_log() {
    let app = App::new().await;
    let made = app
        .post("/api/api-keys", &json!({"label": "ci", "scopes": ["sessions:read"]}))
        .header("idempotency-key", "once")
        .send();
    let made = json_of(made.await.unwrap(), 201).await;
    let id = text(&made["id"]);
    let (key, _) = rotate(&app, &id, DAY).await;
    assert_eq!(end_own(&app, &key).await.status(), NO_CONTENT);
    let path = format!("/api/api-keys/{id}");
    let again = app.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(again.status(), NO_CONTENT);
    let refused = app.post(&format!("{path}/rotate"), &json!({})).send().await.unwrap();
    problem(refused, 409, "api_key_inactive").await;
    let audit = json_of(app.get("/api/audit").send().await.unwrap(), 200).await;
    let entries = audit["data"].as_array().unwrap();
    let done: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(done, ["api_key.revoked", "api_key.rotated", "api_key.created"]);
    for entry in entries {
        assert_eq!((&entry["api_key_id"], &entry["session_id"]), (&json!(id), &Value::Null));
        assert_eq!(entry["address"], "127.0.0.1", "{entry}");
        assert!(entry["request_id"].is_string(), "{entry}");
    }
    assert_eq!(entries[0]["who"], json!(id), "the finder came with the key itself");
    assert_ne!(entries[1]["who"], json!(id));
}

/// AUD-1: what a key may use is changed by plans; who did that stands there, too, and refused calls do not.
#[tokio::test]
async fn what_is_changed_of_keys_and_plans_stands_in_the_audit_log() {
    let app = App::new().await;
    let (_, id) = reader(&app).await;
    let made = app
        .post("/api/plans", &json!({"name": "starter"}))
        .send()
        .await
        .unwrap();
    let plan = text(&json_of(made, 201).await["id"]);
    let (key_path, plan_path) = (format!("/api/api-keys/{id}"), format!("/api/plans/{plan}"));
    let patch = async |path: &str, body: Value| {
        let patched = app.request(Method::PATCH, path).json(&body).send().await.unwrap();
        json_of(patched, 200).await;
    };
    patch(&plan_path, json!({"sessions": 1})).await;
    patch(&key_path, json!({"plan": plan})).await;
    let delete = || app.request(Method::DELETE, &plan_path).send();
    problem(delete().await.unwrap(), 409, "plan_in_use").await;
    patch(&key_path, json!({})).await;
    patch(&key_path, json!({"plan": null})).await;
    assert_eq!(delete().await.unwrap().status(), NO_CONTENT);
    problem(delete().await.unwrap(), 404, "plan_not_found").await;
    let taken = app.post("/api/plans", &json!({"name": ""})).send().await.unwrap();
    problem(taken, 422, "validation_failed").await;
    let audit = json_of(app.get("/api/audit").send().await.unwrap(), 200).await;
    let entries = audit["data"].as_array().unwrap();
    let done: Vec<_> = entries
        .iter()
        .map(|entry| {
            let action = entry["action"].as_str().unwrap();
            (action, &entry["api_key_id"], &entry["plan_id"])
        })
        .collect();
    let (key, plan, none) = (&json!(id), &json!(plan), &Value::Null);
    let expected = [
        ("plan.deleted", none, plan),
        ("api_key.changed", key, none),
        ("api_key.changed", key, none),
        ("plan.changed", none, plan),
        ("plan.created", none, plan),
        ("api_key.created", key, none),
    ];
    assert_eq!(done, expected);
    for entry in entries {
        assert_eq!(entry["address"], "127.0.0.1", "{entry}");
        assert!(entry["request_id"].is_string(), "{entry}");
    }
}
