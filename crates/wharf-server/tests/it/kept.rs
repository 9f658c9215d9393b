//! Session strings that are kept in the database, and fetched by a short one.

use http::Method;
use serde_json::{Value, json};

use crate::process::Wharf;
use crate::remote::{Remote, link, phones, session_id};

#[tokio::test]
async fn a_short_string_leads_to_the_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
    let session = session_id(&api).await;
    let own = phones(&sandbox).await.remove(0);
    link(&api, &sandbox, &session, &own).await;

    let export = format!("/api/sessions/{session}/export");
    let destination = json!({ "type": "database", "expires_in": 3600, "link": true });
    let request = json!({ "format": "session_string", "prefix": "BRAND~", "destination": destination });
    let kept = api.post(&export, request).await;
    let short = kept["data"].as_str().unwrap();
    let id = short.strip_prefix("BRAND~").unwrap();
    assert_eq!(id.len(), 22, "{short}");

    let path = format!("/api/vault/{id}");
    let whole = api.get(&path).await;
    let string = whole["session"].as_str().unwrap();
    assert!(string.starts_with("BRAND~H4sI"), "{} characters", string.len());
    assert_eq!(whole["expires_at"], kept["expires_at"]);
    for data in [short, string] {
        let report = api.post("/api/sessions/validate", json!({ "data": data })).await;
        assert_eq!(
            (&report["valid"], &report["fingerprint"]),
            (&json!(true), &kept["fingerprint"])
        );
    }

    let stranger = Remote::new(&demo.url, None);
    let refused = stranger.call(Method::GET, &path, None).await.unwrap();
    assert_eq!(refused.status(), 401);
    let link = kept["link"].as_str().unwrap();
    let looked = stranger.call(Method::HEAD, link, None).await.unwrap();
    assert_eq!(looked.status(), 405, "a look uses nothing up");
    let first = stranger.call(Method::GET, link, None).await.unwrap();
    assert_eq!(first.headers()["cache-control"], "no-store");
    assert_eq!(first.json::<Value>().await.unwrap()["session"], string);
    let second = stranger.call(Method::GET, link, None).await.unwrap();
    assert_eq!(second.status(), 404);

    let forgotten = api.call(Method::DELETE, &path, None).await.unwrap();
    assert_eq!(forgotten.status(), 204);
    let gone = api.call(Method::GET, &path, None).await.unwrap();
    assert_eq!(gone.json::<Value>().await.unwrap()["code"], "kept_string_not_found");

    let audit = api.all("/api/audit").await;
    let about_strings: Vec<_> = audit
        .iter()
        .filter(|entry| entry["action"].as_str().unwrap().starts_with("string."))
        .map(|entry| (entry["action"].as_str().unwrap(), entry["who"] == "link"))
        .collect();
    let wanted = [
        ("string.forgotten", false),
        ("string.fetched", true),
        ("string.fetched", false),
    ];
    assert_eq!(about_strings, wanted);
}
