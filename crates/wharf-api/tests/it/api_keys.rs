use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{App, NO_CONTENT, json_of, problem, text};

async fn create(app: &App, body: &Value) -> Value {
    json_of(app.post("/api/api-keys", body).send().await.unwrap(), 201).await
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
    for method in [Method::GET, Method::DELETE] {
        let refused = app
            .anonymous(method, &path)
            .bearer_auth(&stranger)
            .send()
            .await
            .unwrap();
        problem(refused, 404, "api_key_not_found").await;
    }
}
