//! A session goes from one Wharf to another as a bundle, with its conversations: from a file to a PostgreSQL server and
//! back.

use serde_json::{Value, json};
use wharf_testkit::postgres::{Cluster, Flush};

use crate::moving::{World, as_object, connect, export, hears, ready};
use crate::process::{MASTER_KEY, on_file, serve_command};
use crate::remote::{Remote, text_message};

const PASSPHRASE: &str = "twelve or more characters";

/// Moves a session, and says the epoch that its bundle has.
async fn handed_over(world: &World, from: (&Remote, &str), to: &Remote) -> String {
    world.settled().await;
    let (api, session) = from;
    let path = format!("/api/sessions/{session}/export");
    let request = json!({"format": "bundle", "passphrase": PASSPHRASE, "move": true});
    let bundle = export(api, session, request).await;
    assert_eq!(
        (&bundle["format"], &bundle["left_behind"]),
        (&json!("bundle"), &json!(0))
    );
    let data = bundle["data"].as_str().unwrap();
    world.friend_says("while it moved").await;
    let body = json!({"data": data, "passphrase": PASSPHRASE});
    let imported = to.post("/api/sessions/import", body).await;
    let arrived = imported["id"].as_str().unwrap().to_owned();
    connect(to, &arrived).await;
    api.post(&format!("{path}/confirm"), json!({})).await;
    hears(to, &arrived, "while it moved").await;
    arrived
}

async fn talk(world: &World, api: &Remote, session: &str, text: &str) {
    api.post("/api/messages", text_message(session, &world.friend, text))
        .await;
    world.friend_shows(&[text]).await;
    let answer = format!("{text}, answered");
    world.friend_says(&answer).await;
    hears(api, session, &answer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_goes_on_where_it_was_on_either_database() {
    let world = World::new().await;
    let (_, files) = world.talked().await;
    let cluster = Cluster::start(Flush::Off).unwrap();
    let data = |name: &str| world.dir.path().join(name);
    let (_first, on_sqlite) = world.serve_by(on_file(serve_command(&data("first")))).await;
    let mut command = on_file(serve_command(&data("second")));
    command
        .env("WHARF_STORAGE__URL", cluster.fresh_database().unwrap())
        .env("WHARF_STORAGE__MASTER_KEY", MASTER_KEY);
    let (_second, on_postgres) = world.serve_by(command).await;
    let (_third, on_sqlite_again) = world.serve_by(on_file(serve_command(&data("third")))).await;

    let session = ready(&on_sqlite, &as_object(&files)).await;
    talk(&world, &on_sqlite, &session, "on a file").await;
    let before = world.retries();
    let session = handed_over(&world, (&on_sqlite, &session), &on_postgres).await;
    talk(&world, &on_postgres, &session, "on a server").await;
    let session = handed_over(&world, (&on_postgres, &session), &on_sqlite_again).await;
    talk(&world, &on_sqlite_again, &session, "on a file again").await;
    assert_eq!(world.retries(), before, "a message had to be asked for again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_opens_with_its_passphrase_alone() {
    let world = World::new().await;
    let (_, files) = world.talked().await;
    let (_wharf, api) = world.serve_by(serve_command(&world.dir.path().join("first"))).await;
    let session = api
        .post("/api/sessions/import", json!({"data": as_object(&files)}))
        .await;
    let session = session["id"].as_str().unwrap().to_owned();
    let path = format!("/api/sessions/{session}/export");
    for request in [
        json!({"format": "bundle"}),
        json!({"format": "bundle", "passphrase": "too short"}),
    ] {
        let refused = api.call(http::Method::POST, &path, Some(&request)).await.unwrap();
        assert_eq!(refused.status(), 422);
    }
    let bundle = export(&api, &session, json!({"format": "bundle", "passphrase": PASSPHRASE})).await;
    let shown = api.get(&format!("/api/sessions/{session}")).await;
    assert!(shown["exported_at"].is_string(), "{shown}");
    let validate = |passphrase: Value| {
        let body = json!({"data": bundle["data"], "passphrase": passphrase});
        let api = &api;
        async move {
            api.call(http::Method::POST, "/api/sessions/validate", Some(&body))
                .await
                .unwrap()
        }
    };
    for (passphrase, code) in [
        (Value::Null, "passphrase_missing"),
        (json!("another one"), "passphrase_wrong"),
    ] {
        let refused: Value = validate(passphrase).await.json().await.unwrap();
        assert_eq!(
            (&refused["errors"][0]["pointer"], &refused["errors"][0]["code"]),
            (&json!("/passphrase"), &json!(code)),
            "{refused}"
        );
    }
    let opened: Value = validate(json!(PASSPHRASE)).await.json().await.unwrap();
    assert_eq!((&opened["valid"], &opened["format"]), (&json!(true), &json!("bundle")));
    assert_eq!(opened["fingerprint"], bundle["fingerprint"]);
    assert_ne!(opened["keys"]["conversations"], 0);
}
