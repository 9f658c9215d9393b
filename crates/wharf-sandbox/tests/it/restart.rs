//! What is left after the process was killed.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use wacore_binary::builder::NodeBuilder;
use wharf_sandbox::{Sandbox, SandboxConfig, StoreConfig};

use crate::http::call;
use crate::process::Process;
use crate::raw_client::*;

async fn run(data: &Path) -> (Child, String) {
    let Process { child, control, .. } = Process::start(&["--data", data.to_str().unwrap()]).await;
    (child, control)
}

async fn chats(base: &str, phone: &str) -> Value {
    call(base, "GET", &format!("/sandbox/api/phones/{phone}/chats"), None)
        .await
        .body["data"]
        .clone()
}

#[tokio::test]
async fn a_killed_process_comes_back_with_phones_chats_and_what_was_queued() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("sandbox.db");
    let (mut child, base) = run(&data).await;
    let mut phones = Vec::new();
    for name in ["Alice", "Bob"] {
        let made = call(&base, "POST", "/sandbox/api/phones", Some(json!({"name": name})))
            .await
            .body;
        phones.push(made["phone"].as_str().unwrap().to_owned());
    }
    let (alice, bob) = (&phones[0], &phones[1]);
    call(
        &base,
        "POST",
        &format!("/sandbox/api/phones/{bob}/online"),
        Some(json!({"online": false})),
    )
    .await;
    for text in ["one", "two"] {
        let send = format!("/sandbox/api/phones/{alice}/send");
        assert_eq!(
            call(&base, "POST", &send, Some(json!({"to": bob, "text": text})))
                .await
                .status,
            202
        );
    }
    let before = chats(&base, alice).await;
    child.kill().await.unwrap();

    let (mut child, base) = run(&data).await;
    assert_eq!(chats(&base, alice).await, before);
    call(
        &base,
        "POST",
        &format!("/sandbox/api/phones/{bob}/online"),
        Some(json!({"online": true})),
    )
    .await;
    let arrived = async {
        loop {
            let shown = chats(&base, bob).await;
            if shown[0]["messages"]
                .as_array()
                .is_some_and(|messages| messages.len() == 2)
            {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    };
    let shown = tokio::time::timeout(PATIENCE, arrived).await.unwrap();
    assert_eq!(
        (&shown[0]["messages"][0]["text"], &shown[0]["messages"][1]["text"]),
        (&json!("one"), &json!("two"))
    );
    child.kill().await.unwrap();
}

#[tokio::test]
async fn sigterm_ends_the_process_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _base) = run(&folder.path().join("sandbox.db")).await;
    let pid = child.id().unwrap().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_linked_device_its_keys_and_its_queue_survive() {
    let folder = tempfile::tempdir().unwrap();
    let config = || SandboxConfig {
        store: StoreConfig::File(folder.path().join("sandbox.db")),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config()).await.unwrap();
    let alice = sandbox
        .create_phone(wharf_sandbox::NewPhone::default())
        .await
        .unwrap()
        .phone;
    let bob = sandbox
        .create_phone(wharf_sandbox::NewPhone::default())
        .await
        .unwrap()
        .phone;
    let (keys, device) = link(&sandbox, &alice).await;
    let mut client = log_in(&sandbox, &keys, &alice, device).await;
    upload_key(&mut client, &keys).await;
    let root = sandbox.root_public_key();
    let server_static = client.server_static;
    drop(client);
    let id = sandbox.send_text(&bob, &alice, "kept").await.unwrap();
    sandbox.stop().await;

    let sandbox = Sandbox::start(config()).await.unwrap();
    assert_eq!(sandbox.root_public_key(), root);
    let payload = login(&alice, device);
    let mut client = RawClient::connect_ik(&sandbox, server_static, &keys.device.noise_key, &payload).await;
    client.expect("success").await;
    let waited = activate(&mut client).await;
    let message = waited
        .iter()
        .find(|node| node.tag == "message" && attr(node, "id") == id)
        .unwrap();
    assert_eq!(
        attr(message, "offline"),
        waited
            .iter()
            .position(|node| attr(node, "id") == id)
            .map(|at| (at - 1).to_string())
            .unwrap()
    );
    // Confirmed, it is gone for good.
    client
        .send(
            &NodeBuilder::new("receipt")
                .attr("id", id.as_str())
                .attr("to", wacore_binary::Jid::pn(bob.as_str()))
                .build(),
        )
        .await;
    client.expect("ack").await;
    sandbox.stop().await;
    let sandbox = Sandbox::start(config()).await.unwrap();
    let mut client = log_in(&sandbox, &keys, &alice, device).await;
    assert!(activate(&mut client).await.iter().all(|node| attr(node, "id") != id));
}
