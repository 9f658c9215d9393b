use reqwest::Method;
use serde_json::Value;

use crate::app::{App, json_of, problem};

#[tokio::test]
async fn health_needs_no_key_and_readiness_says_why_not() {
    let app = App::new().await;
    let get = |path| app.anonymous(Method::GET, path).send();
    assert_eq!(json_of(get("/healthz").await.unwrap(), 200).await["status"], "ok");
    *app.readiness.0.lock().unwrap() = Some("storage takes no writes".to_owned());
    let refused = problem(get("/readyz").await.unwrap(), 503, "not_ready").await;
    assert_eq!(refused["detail"], "storage takes no writes");
    json_of(get("/healthz").await.unwrap(), 200).await;
}

#[tokio::test]
async fn a_ready_server_says_so() {
    let app = App::new().await;
    let ready = app.anonymous(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(json_of(ready, 200).await["status"], "ready");
}

#[tokio::test]
async fn metrics_count_by_route_template_and_hold_no_id() {
    let app = App::new().await;
    let id = app.session().await;
    app.get(&format!("/api/sessions/{id}")).send().await.unwrap();
    let metrics = app.get("/metrics").send().await.unwrap();
    assert!(
        metrics.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    let text = metrics.text().await.unwrap();
    assert!(
        text.contains("wharf_http_requests_total{method=\"GET\",route=\"/api/sessions/{id}\",status_class=\"2xx\"}")
    );
    assert!(!text.contains(&id));
}

#[tokio::test]
async fn the_docs_load_nothing_from_elsewhere() {
    let app = App::new().await;
    let get = |path| app.anonymous(Method::GET, path).send();
    let page = get("/docs").await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("http"));
    let html = page.text().await.unwrap();
    let start = get("/docs/start.js").await.unwrap().text().await.unwrap();
    for text in [&html, &start] {
        assert!(!text.contains("://") && !text.contains("\"//"), "{text}");
    }
    for path in html.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let script = app.anonymous(Method::GET, path).send().await.unwrap();
        assert!(
            script.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/javascript")
        );
    }
    let bundle = get("/docs/scalar.js").await.unwrap().bytes().await.unwrap();
    assert!(bundle.len() > 1_000_000);
}

#[tokio::test]
async fn the_description_is_served_as_it_is_committed() {
    let app = App::new().await;
    let served = app
        .anonymous(Method::GET, "/api/openapi.json")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(served, wharf_api::document().unwrap());
    let parsed: Value = serde_json::from_str(&served).unwrap();
    assert_eq!(parsed["openapi"], "3.1.0");
}
