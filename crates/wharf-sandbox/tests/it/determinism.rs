//! With a seed the network repeats itself: what a script of fixed steps reads and writes is the same every time.

use std::collections::BTreeMap;

use serde_json::Value;
use wharf_sandbox::{NewGroup, NewPhone, Sandbox, SandboxConfig};

use crate::companion::Companion;
use crate::raw_client::*;

/// What each connection saw, in its order. Contents differ: keys of clients are their own.
type Transcript = BTreeMap<u64, Vec<String>>;

/// Waits for so many stanzas of each kind, whatever comes in between.
async fn hear(client: &mut RawClient, kinds: &[&str]) {
    let mut missing = kinds.to_vec();
    while !missing.is_empty() {
        let node = client.node().await.expect("the connection stays");
        if let Some(place) = missing.iter().position(|kind| *kind == node.tag) {
            missing.remove(place);
        }
    }
}

/// Every step waits for what it leads to: what is at the same time has no order.
async fn play(seed: u64) -> Transcript {
    let config = SandboxConfig {
        seed: Some(seed),
        stanza_log: 10_000,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let mut hers = Companion::linked(&sandbox, &alice).await;
    let mut his = Companion::linked(&sandbox, &bob).await;
    for companion in [&mut hers, &mut his] {
        upload_key(&mut companion.client, &companion.keys).await;
        // Key and history notices.
        hear(&mut companion.client, &["message"; 4]).await;
    }
    sandbox.send_text(&alice, &bob, "one").await.unwrap();
    hear(&mut his.client, &["message"]).await;
    hear(&mut hers.client, &["message", "receipt"]).await;
    let new = NewGroup {
        subject: "Supper".to_owned(),
        members: vec![bob.clone()],
    };
    let group = sandbox.create_group(&alice, new).await.unwrap().group;
    hear(&mut his.client, &["notification"]).await;
    hear(&mut hers.client, &["notification"]).await;
    sandbox.send_text(&bob, &group, "two").await.unwrap();
    hear(&mut his.client, &["message", "receipt"]).await;
    hear(&mut hers.client, &["message"]).await;
    let text = hers.text(&bob, "THREE", "three", 3).await;
    hers.client.send(&text).await;
    hear(&mut hers.client, &["ack", "receipt"]).await;
    // A stanza is logged once the socket took it, which can be a moment after the client has it.
    sandbox.stop().await;
    transcript(&sandbox)
}

fn transcript(sandbox: &Sandbox) -> Transcript {
    let mut transcript = Transcript::new();
    for observation in sandbox.stanza_log(0, usize::MAX).unwrap().observations {
        let line = serde_json::to_value(&*observation).unwrap();
        if line["kind"] == "stanza" {
            let connection = line["connection"].as_u64().unwrap();
            transcript.entry(connection).or_default().push(described(&line));
        }
    }
    transcript
}

fn described(line: &Value) -> String {
    let parts = ["direction", "tag", "type", "class", "id", "from", "to", "participant"];
    let parts = parts.map(|name| line[name].as_str().unwrap_or("-"));
    parts.join(" ")
}

#[tokio::test]
async fn a_seed_and_a_script_repeat_the_transcript() {
    let first = play(7).await;
    assert!(first.values().map(Vec::len).sum::<usize>() > 40);
    assert_eq!(first, play(7).await);
    assert_ne!(first, play(8).await);
}

/// The same with everything at once on several threads: who gets which id does not depend on who was quicker.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_do_not_change_what_is_repeated() {
    assert_eq!(play(7).await, play(7).await);
}
