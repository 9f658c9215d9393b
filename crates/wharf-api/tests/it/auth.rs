use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use wharf_api::Scope;
use wharf_api::keys::ApiKey;
use wharf_model::{Clock, Network, SystemEdges};

use crate::app::{App, json_of, problem, session_id};

#[tokio::test]
async fn only_a_known_key_of_this_network_is_let_in() {
    let app = App::new().await;
    let stranger = ApiKey::generate(Network::Sandbox, &SystemEdges);
    let live = ApiKey::generate(Network::Live, &SystemEdges);
    for (key, code) in [
        ("nonsense", "api_key_malformed"),
        ("wharf_test_0123456789", "api_key_malformed"),
        (stranger.reveal(), "api_key_unknown"),
        (live.reveal(), "api_key_wrong_network"),
    ] {
        let refused = app
            .anonymous(Method::GET, "/api/sessions")
            .bearer_auth(key)
            .send()
            .await
            .unwrap();
        assert_eq!(refused.headers()["www-authenticate"], "Bearer realm=\"wharf\"");
        problem(refused, 401, code).await;
    }
    let missing = app.anonymous(Method::GET, "/api/sessions").send().await.unwrap();
    problem(missing, 401, "unauthenticated").await;
    let basic = app
        .anonymous(Method::GET, "/api/sessions")
        .basic_auth("a", Some("b"))
        .send()
        .await
        .unwrap();
    problem(basic, 401, "unauthenticated").await;
}

#[tokio::test]
async fn both_headers_bring_a_key_but_not_two_keys() {
    let app = App::new().await;
    let by_header = app
        .anonymous(Method::GET, "/api/sessions")
        .header("x-api-key", &app.admin);
    json_of(by_header.send().await.unwrap(), 200).await;
    let other = app.key(&[Scope::Admin]).await;
    let both = app
        .get("/api/sessions")
        .header("x-api-key", other)
        .send()
        .await
        .unwrap();
    problem(both, 401, "api_key_malformed").await;
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_no_more() {
    let app = App::new().await;
    let reader = app.key(&[Scope::SessionsRead]).await;
    let as_reader = |method, path| app.anonymous(method, path).bearer_auth(&reader);
    json_of(as_reader(Method::GET, "/api/sessions").send().await.unwrap(), 200).await;
    let create = as_reader(Method::POST, "/api/sessions").json(&json!({"name": "a"}));
    let refused = problem(create.send().await.unwrap(), 403, "insufficient_scope").await;
    assert!(refused["detail"].as_str().unwrap().contains("sessions:write"));
    for path in ["/api/messages", "/api/events", "/api/api-keys", "/metrics"] {
        let refused = as_reader(Method::GET, path).send().await.unwrap();
        problem(refused, 403, "insufficient_scope").await;
    }
}

#[tokio::test]
async fn expiry_addresses_and_sessions_limit_a_key() {
    let app = App::new().await;
    let soon = app.clock.now() + Duration::from_secs(60);
    let short = app.key_with(app.workspace, |key| key.expires_at = Some(soon)).await;
    let get = |key: &str, path: &str| app.anonymous(Method::GET, path).bearer_auth(key).send();
    json_of(get(&short, "/api/sessions").await.unwrap(), 200).await;
    app.clock.advance(Duration::from_secs(61));
    problem(get(&short, "/api/sessions").await.unwrap(), 401, "api_key_expired").await;

    let elsewhere = app
        .key_with(app.workspace, |key| key.ips = Some(vec!["198.51.100.0/24".to_owned()]))
        .await;
    problem(
        get(&elsewhere, "/api/sessions").await.unwrap(),
        403,
        "address_not_allowed",
    )
    .await;

    let (own, other) = (app.session().await, app.session().await);
    let allowed = vec![session_id(&own)];
    let limited = app.key_with(app.workspace, |key| key.sessions = Some(allowed)).await;
    json_of(get(&limited, &format!("/api/sessions/{own}")).await.unwrap(), 200).await;
    problem(
        get(&limited, &format!("/api/sessions/{other}")).await.unwrap(),
        404,
        "session_not_found",
    )
    .await;
    let listed = json_of(get(&limited, "/api/sessions").await.unwrap(), 200).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let create = app
        .anonymous(Method::POST, "/api/sessions")
        .bearer_auth(&limited)
        .json(&json!({"name": "a"}));
    problem(create.send().await.unwrap(), 403, "key_restricted").await;
}

/// It could make itself a key without limits otherwise.
#[tokio::test]
async fn an_operators_key_that_is_limited_to_sessions_operates_nothing_else() {
    let app = App::new().await;
    let (own, other) = (app.session().await, app.session().await);
    let allowed = vec![session_id(&own)];
    let limited = app
        .key_with(app.workspace, |key| {
            key.scopes = vec!["admin".to_owned()];
            key.sessions = Some(allowed);
        })
        .await;
    let call = |method: Method, path: &str| app.anonymous(method, path).bearer_auth(&limited);
    let create = call(Method::POST, "/api/api-keys").json(&json!({"label": "all", "scopes": ["admin"]}));
    problem(create.send().await.unwrap(), 403, "key_restricted").await;
    for path in ["/api/api-keys", "/metrics"] {
        problem(call(Method::GET, path).send().await.unwrap(), 403, "key_restricted").await;
    }
    let own_path = format!("/api/sessions/{own}");
    json_of(call(Method::GET, &own_path).send().await.unwrap(), 200).await;
    for (method, tail) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::GET, "/history"),
        (Method::GET, "/qr"),
        (Method::POST, "/connect"),
        (Method::POST, "/disconnect"),
        (Method::POST, "/restart"),
        (Method::POST, "/logout"),
    ] {
        let foreign = call(method, &format!("/api/sessions/{other}{tail}"))
            .send()
            .await
            .unwrap();
        problem(foreign, 404, "session_not_found").await;
    }
    let stream = call(Method::GET, &format!("/api/sessions/{other}/events")).header("accept", "text/event-stream");
    problem(stream.send().await.unwrap(), 404, "session_not_found").await;
}

#[tokio::test]
async fn too_many_wrong_keys_are_slowed_down() {
    let app = App::with(|config| config.failed_auth_per_address = wharf_api::RatePolicy::new(3, 60)).await;
    let wrong = || app.anonymous(Method::GET, "/api/sessions").bearer_auth("wrong").send();
    for _ in 0..3 {
        problem(wrong().await.unwrap(), 401, "api_key_malformed").await;
    }
    let slowed = wrong().await.unwrap();
    let wait: u64 = slowed.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    problem(slowed, 429, "auth_rate_limited").await;
    json_of(app.get("/api/sessions").send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn a_key_has_its_rate_and_the_headers_tell() {
    let app = App::with(|config| config.rate_per_key = wharf_api::RatePolicy::new(2, 60)).await;
    let first = app.get("/api/sessions").send().await.unwrap();
    assert!(
        first.headers()["ratelimit-policy"]
            .to_str()
            .unwrap()
            .contains("\"key\";q=2;w=60")
    );
    assert!(
        first.headers()["ratelimit"]
            .to_str()
            .unwrap()
            .contains("\"key\";r=1;t=30")
    );
    app.get("/api/sessions").send().await.unwrap();
    let refused = app.get("/api/sessions").send().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    problem(refused, 429, "rate_limited").await;
}

#[tokio::test]
async fn a_signed_in_page_calls_by_cookie_from_its_own_origin_only() {
    let app = App::new().await;
    let cookie = "other=1; wharf_demo=let-me-in";
    let read = app.anonymous(Method::GET, "/api/sessions").header("cookie", cookie);
    json_of(read.send().await.unwrap(), 200).await;
    let wrong = app
        .anonymous(Method::GET, "/api/sessions")
        .header("cookie", "wharf_demo=no");
    problem(wrong.send().await.unwrap(), 401, "unauthenticated").await;
    let create = || {
        let request = app.anonymous(Method::POST, "/api/sessions").header("cookie", cookie);
        request.json(&json!({"name": "demo"}))
    };
    problem(create().send().await.unwrap(), 403, "cross_site_refused").await;
    let foreign = create().header("origin", "http://evil.test");
    problem(foreign.send().await.unwrap(), 403, "cross_site_refused").await;
    let own = json_of(create().header("origin", &app.url).send().await.unwrap(), 201).await;
    assert_eq!(own["created_by"], "page");
}
