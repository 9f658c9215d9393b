//! Whether WhatsApp still accepts credentials, asked without taking anything from whom they belong to.

use http::Method;
use serde_json::{Value, json};

use crate::moving::{World, as_object, creds_of};
use crate::process::serve_command;
use crate::remote::Remote;

async fn validated(api: &Remote, data: &str) -> Value {
    let body = json!({"data": data, "live": true, "accept_disconnect": true});
    api.post("/api/sessions/validate", body).await
}

fn login(report: &Value) -> &Value {
    let checks = report["checks"].as_array().unwrap();
    let login = checks.iter().find(|check| check["name"] == "login");
    login.unwrap_or_else(|| panic!("nobody logged in: {report}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_validation_takes_nothing_from_the_owner() {
    let world = World::new().await;
    let creds = creds_of(&world.talked().await.1);
    world.friend_says("while nobody was there").await;
    let (_wharf, api) = world.serve_by(serve_command(&world.dir.path().join("data"))).await;
    let asked = json!({"data": creds, "live": true});
    let refused = api
        .call(Method::POST, "/api/sessions/validate", Some(&asked))
        .await
        .unwrap();
    assert_eq!(refused.status(), 422, "a login disconnects somebody");
    let report = validated(&api, &creds).await;
    assert_eq!((&report["valid"], &report["level"]), (&json!(true), &json!("live")));
    assert_eq!(login(&report)["ok"], true, "{report}");
    // Twice: nothing of the first one is left.
    assert_eq!(login(&validated(&api, &creds).await)["ok"], true);
    let mut owner = world.baileys("first");
    owner.event("open").await.unwrap();
    owner.hears("while nobody was there").await.unwrap();
    // Now he is there, is replaced, and comes back.
    assert_eq!(login(&validated(&api, &creds).await)["ok"], true);
    owner.stop(&world.dir.path().join("first")).await.unwrap();
    assert_eq!(world.network.unhandled().await, vec![]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_was_removed_and_one_that_is_here_are_told_apart() {
    let world = World::new().await;
    let (_, files) = world.talked().await;
    let creds = creds_of(&files);
    let (_wharf, api) = world.serve_by(serve_command(&world.dir.path().join("data"))).await;
    let imported = api
        .post("/api/sessions/import", json!({"data": as_object(&files)}))
        .await;
    let body = json!({"data": creds, "live": true, "accept_disconnect": true});
    let refused = api
        .call(Method::POST, "/api/sessions/validate", Some(&body))
        .await
        .unwrap();
    assert_eq!(refused.status(), 409, "a session of this server has them");
    let session = format!("/api/sessions/{}", imported["id"].as_str().unwrap());
    let deleted = api.call(Method::DELETE, &session, None).await.unwrap();
    assert_eq!(deleted.status(), 204);
    let report = validated(&api, &creds).await;
    assert_eq!(
        report["valid"], false,
        "deleting the session unlinked the device: {report}"
    );
    assert!(
        login(&report)["detail"]
            .as_str()
            .unwrap()
            .contains("does not know this device"),
        "{report}"
    );
}
