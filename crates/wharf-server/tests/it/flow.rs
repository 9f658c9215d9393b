//! The walk of a newcomer, by HTTP: link, send, deliver, read, reply; and the door of the demo page.

use http::Method;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::process::Wharf;
use crate::remote::{Remote, bubbles, link, message_is, phones, ready, session_id, text_message, until};

#[tokio::test]
async fn a_message_goes_out_arrives_and_is_read_and_an_answer_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
    let session = session_id(&api).await;
    let both = phones(&sandbox).await;
    let (own, friend) = (&both[0], &both[1]);
    link(&api, &sandbox, &session, own).await;

    let message = api
        .post("/api/messages", text_message(&session, friend, "across the water"))
        .await;
    let id = message["id"].as_str().unwrap();
    message_is(&api, id, "delivered").await;
    assert_eq!(bubbles(&sandbox, friend).await, ["across the water"]);
    until("the own phone shows the message too", || async {
        bubbles(&sandbox, own)
            .await
            .contains(&"across the water".to_owned())
            .then_some(())
    })
    .await;
    sandbox
        .post(&format!("/sandbox/api/phones/{friend}/read"), json!({ "chat": own }))
        .await;
    message_is(&api, id, "read").await;

    sandbox
        .post(
            &format!("/sandbox/api/phones/{friend}/send"),
            json!({ "to": own, "text": "and back" }),
        )
        .await;
    until("the answer is received", || async {
        let inbound = api.all("/api/messages?direction=inbound").await;
        inbound
            .iter()
            .any(|message| message["text"]["body"] == "and back")
            .then_some(())
    })
    .await;
    let unhandled = sandbox.get("/sandbox/api/unhandled").await;
    assert_eq!(
        unhandled["data"],
        json!([]),
        "questions that the sandbox does not imitate"
    );
}

#[tokio::test]
async fn a_kill_costs_neither_link_nor_key_nor_phones() {
    let dir = tempfile::tempdir().unwrap();
    let first = Wharf::demo(dir.path()).await;
    let (api, sandbox) = (Remote::api(&first), Remote::sandbox(&first));
    let session = session_id(&api).await;
    let both = phones(&sandbox).await;
    link(&api, &sandbox, &session, &both[0]).await;
    let key = first.api_key.clone();
    first.kill().await;

    let second = Wharf::demo(dir.path()).await;
    assert_eq!(second.api_key, key);
    let (api, sandbox) = (Remote::api(&second), Remote::sandbox(&second));
    assert_eq!(phones(&sandbox).await, both);
    let found = ready(&api, &session).await;
    assert_eq!(found["phone_number"].as_str().unwrap().trim_start_matches('+'), both[0]);
}

#[tokio::test]
async fn the_page_opens_with_its_code_once_and_under_no_foreign_name() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let stranger = Remote::new(&demo.url, None);
    let page = stranger.call(Method::GET, "/", None).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    for path in ["/api/sessions", "/sandbox/api/phones"] {
        let answer = stranger.call(Method::GET, path, None).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let code = until("the banner is printed", || async { code_of(&demo.stderr()) }).await;
    let login = json!({ "code": code });
    let welcome = stranger.call(Method::POST, "/demo/login", Some(&login)).await.unwrap();
    let cookie = welcome.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let again = stranger.call(Method::POST, "/demo/login", Some(&login)).await.unwrap();
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);

    let cookie = cookie.split(';').next().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let signed = |path: &str, name: &'static str, value: &str| {
        http.get(format!("{}{path}", demo.url))
            .header("cookie", cookie)
            .header(name, value)
    };
    let own_phone = phones(&Remote::sandbox(&demo)).await.remove(0);
    let chats = format!("/sandbox/api/phones/{own_phone}/chats");
    for path in ["/api/sessions", "/sandbox/api/phones", chats.as_str()] {
        let own = signed(path, "sec-fetch-site", "same-origin").send().await.unwrap();
        assert_eq!(own.status(), StatusCode::OK, "{path}");
        let other_port = signed(path, "sec-fetch-site", "same-site").send().await.unwrap();
        assert!(other_port.status().is_client_error(), "{path}");
        let foreign = signed(path, "host", "evil.example").send().await.unwrap();
        assert_eq!(foreign.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
}

fn code_of(banner: &str) -> Option<String> {
    Some(banner.split("#code=").nth(1)?.split_whitespace().next()?.to_owned())
}

#[tokio::test]
async fn the_metrics_count_what_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let api = Remote::api(&demo);
    let answer: Value = api.get("/api/openapi.json").await;
    assert!(answer["paths"]["/api/messages"].is_object());
    assert!(api.text("/metrics").await.contains("wharf_"));
    assert!(api.text("/healthz").await.len() < 200);
}
