use serde_json::{Value, json};
use wharf_api::Scope;

use crate::app::{App, json_of, problem};

const PATH: &str = "/api/sessions/validate";

fn failed(answer: &Value) -> Vec<&str> {
    let checks = answer["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["ok"] == false)
        .map(|check| check["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_is_guessed() {
    let app = App::new().await;
    let creds = json!({"noiseKey": {"private": "x", "public": "y"}, "registrationId": 5}).to_string();
    let answer = json_of(app.post(PATH, &json!({"data": creds})).send().await.unwrap(), 200).await;
    assert_eq!(
        (&answer["valid"], &answer["format"], &answer["level"], &answer["layers"]),
        (&json!(false), &json!("baileys_creds"), &json!("structure"), &json!([]))
    );
    assert_eq!((&answer["phone"], &answer["fingerprint"]), (&Value::Null, &Value::Null));
    assert_eq!(
        failed(&answer),
        ["noise_key", "identity_key", "signed_pre_key", "account", "owner"]
    );
}

#[tokio::test]
async fn what_holds_no_credentials_is_refused_by_name() {
    let app = App::new().await;
    for (data, code) in [
        ("", "credentials_empty"),
        ("hello", "credentials_unrecognised"),
        ("{\"noiseKey\":", "credentials_damaged"),
        ("Gifted~a1b2c3d4e5f6", "credentials_elsewhere"),
    ] {
        let answer = app.post(PATH, &json!({"data": data})).send().await.unwrap();
        let answer = problem(answer, 422, "validation_failed").await;
        assert_eq!(
            (&answer["errors"][0]["pointer"], &answer["errors"][0]["code"]),
            (&json!("/data"), &json!(code)),
            "{data}"
        );
    }
}

#[tokio::test]
async fn only_keys_that_may_link_may_ask() {
    let app = App::new().await;
    let key = app.key(&[Scope::SessionsRead, Scope::SessionsWrite]).await;
    let call = app.anonymous(reqwest::Method::POST, PATH).bearer_auth(key);
    problem(
        call.json(&json!({"data": "x"})).send().await.unwrap(),
        403,
        "insufficient_scope",
    )
    .await;
}

const IMPORT: &str = "/api/sessions/import";

#[tokio::test]
async fn an_import_names_what_is_wrong_with_the_credentials() {
    let app = App::new().await;
    let creds = json!({"noiseKey": {"private": "x", "public": "y"}, "registrationId": 5}).to_string();
    let answer = app.post(IMPORT, &json!({"data": creds})).send().await.unwrap();
    let answer = problem(answer, 422, "validation_failed").await;
    let named: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["code"])
        .collect();
    assert_eq!(
        named,
        ["noise_key", "identity_key", "signed_pre_key", "account", "owner"]
    );
    let answer = app
        .post(IMPORT, &json!({"data": "Gifted~a1b2c3d4e5f6"}))
        .send()
        .await
        .unwrap();
    let answer = problem(answer, 422, "validation_failed").await;
    assert_eq!(answer["errors"][0]["code"], "credentials_elsewhere");
    let listed = json_of(app.get("/api/sessions").send().await.unwrap(), 200).await;
    assert_eq!(listed["data"], json!([]), "nothing was made");
}

#[tokio::test]
async fn what_is_not_linked_has_nothing_to_export() {
    let app = App::new().await;
    let session = app.session().await;
    let path = format!("/api/sessions/{session}/export");
    for format in ["session_string", "baileys_creds", "baileys_folder"] {
        let answer = app.post(&path, &json!({"format": format})).send().await.unwrap();
        problem(answer, 409, "not_linked").await;
    }
    let answer = app.post(&path, &json!({"format": "paper"})).send().await.unwrap();
    problem(answer, 422, "validation_failed").await;
    let nobody = "/api/sessions/ses_00000000000000000000000000/export";
    let answer = app
        .post(nobody, &json!({"format": "baileys_creds"}))
        .send()
        .await
        .unwrap();
    problem(answer, 404, "session_not_found").await;
}

#[tokio::test]
async fn a_connected_session_gives_no_conversations_away() {
    let app = App::new().await;
    let (session, client) = app.pending("qr").await;
    app.network.link(session.parse().unwrap());
    client.link();
    app.until(&session, "ready", |session| session["status"] == "ready")
        .await;
    let path = format!("/api/sessions/{session}/export");
    let answer = app
        .post(&path, &json!({"format": "baileys_folder"}))
        .send()
        .await
        .unwrap();
    problem(answer, 409, "not_at_rest").await;
}

#[tokio::test]
async fn only_keys_that_may_export_get_credentials() {
    let app = App::new().await;
    let session = app.session().await;
    let path = format!("/api/sessions/{session}/export");
    let key = app
        .key(&[Scope::SessionsRead, Scope::SessionsWrite, Scope::SessionsLink])
        .await;
    let call = app.anonymous(reqwest::Method::POST, &path).bearer_auth(key);
    let answer = call.json(&json!({"format": "baileys_creds"})).send().await.unwrap();
    problem(answer, 403, "insufficient_scope").await;
}
