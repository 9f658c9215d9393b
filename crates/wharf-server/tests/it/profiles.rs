//! What a session tells of the account it is linked to.

use serde_json::{Value, json};
use wharf_testkit::process::Baileys;

use crate::moving::{self, World, creds_of};
use crate::process::serve_command;
use crate::remote::{link, ready, until};

/// Baileys, linked to the same account.
async fn another_companion(world: &World) -> Baileys {
    let mut other = world.baileys("other");
    let shown = other.event("ready_for_qr").await.unwrap();
    let qr = shown["qr"].as_str().unwrap();
    world.network.scan(&world.own, qr).await.unwrap();
    other.event("open").await.unwrap();
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn picture_and_about_are_those_of_the_account() {
    const ABOUT: &str = "At work until five";
    const PICTURE: &[u8] = b"a picture of a person";
    let world = World::new().await;
    let (_wharf, api) = world.serve_by(serve_command(&world.dir.path().join("server"))).await;
    let made = api.post("/api/sessions", json!({ "name": "support" })).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/sessions/{id}");
    link(&api, &world.control, id, &world.own).await;
    let before = ready(&api, id).await;
    assert_eq!(
        (&before["profile_picture_url"], &before["last_seen"]),
        (&Value::Null, &Value::Null)
    );

    let mut other = another_companion(&world).await;
    other.shows(ABOUT, PICTURE).await.unwrap();
    let after = until("the session tells of it", || async {
        let session = api.get(&path).await;
        let tells = session["status_message"] == ABOUT && session["profile_picture_url"].is_string();
        tells.then_some(session)
    });
    let after = after.await;
    let picture = reqwest::get(after["profile_picture_url"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(picture.bytes().await.unwrap(), PICTURE);

    api.post(&format!("{path}/disconnect"), json!({})).await;
    let seen = until("it is off", || async {
        let session = api.get(&path).await;
        (session["status"] == "disconnected").then_some(session)
    });
    let seen = seen.await;
    assert!(seen["last_seen"].is_string(), "{seen}");
    assert_eq!(seen["status_message"], ABOUT);
}

/// Names are told in app state, whose keys `creds.json` does not hold: the phone is asked for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_credentials_alone_asks_for_the_keys_of_app_state() {
    let world = World::new().await;
    let (_, files) = world.talked().await;
    let (_wharf, api) = world.serve_by(serve_command(&world.dir.path().join("server"))).await;
    let session = moving::ready(&api, &creds_of(&files)).await;
    let mut other = another_companion(&world).await;
    other.renames("Ada at sea").await.unwrap();
    until("the session has the name", || async {
        let session = api.get(&format!("/api/sessions/{session}")).await;
        (session["profile_name"] == "Ada at sea").then_some(())
    })
    .await;
}
