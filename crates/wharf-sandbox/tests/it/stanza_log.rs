//! The stanza log: every copy that was on the wire, and every attempt to decrypt one.

use serde_json::Value;
use wharf_sandbox::{Decryption, NewPhone, Observed, Sandbox, SandboxConfig, SeenStanza};

use crate::companion::Companion;
use crate::http::{call, text};
use crate::raw_client::*;

async fn start(stanza_log: usize) -> (Sandbox, String, String) {
    let sandbox = Sandbox::start(SandboxConfig {
        stanza_log,
        ..SandboxConfig::default()
    })
    .await
    .unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    (sandbox, alice, bob)
}

fn messages(sandbox: &Sandbox) -> Vec<(u64, SeenStanza)> {
    let seen = sandbox.stanza_log(0, usize::MAX).unwrap().observations;
    let stanzas = seen.iter().filter_map(|line| match &line.what {
        Observed::Stanza(stanza) if stanza.tag == "message" => Some((line.seq, (**stanza).clone())),
        _ => None,
    });
    stanzas.collect()
}

fn decryptions(sandbox: &Sandbox) -> Vec<Decryption> {
    let seen = sandbox.stanza_log(0, usize::MAX).unwrap().observations;
    let tried = seen.iter().filter_map(|line| match &line.what {
        Observed::Decrypted(tried) => Some((**tried).clone()),
        _ => None,
    });
    tried.collect()
}

/// Reads on until so many receipts came, whatever else comes in between, and returns them.
async fn receipts(client: &mut RawClient, count: usize) -> Vec<wacore_binary::Node> {
    let mut receipts = Vec::new();
    while receipts.len() < count {
        receipts.push(client.expect("receipt").await);
    }
    receipts
}

#[tokio::test]
async fn every_copy_is_logged_tried_and_shown_once() {
    let (sandbox, alice, bob) = start(1000).await;
    let mut companion = Companion::linked(&sandbox, &alice).await;
    for _ in 0..2 {
        let message = companion.text(&bob, "M1", "hello", 5).await;
        companion.client.send(&message).await;
    }
    receipts(&mut companion.client, 2).await;

    let sent = messages(&sandbox);
    let counters: Vec<_> = sent.iter().map(|(_, stanza)| stanza.enc[0].counter).collect();
    assert_eq!(counters, [Some(0), Some(1)]);
    for (_, stanza) in &sent {
        assert_eq!(
            (stanza.phone.as_ref(), stanza.device),
            (Some(&alice), Some(companion.device))
        );
        assert_eq!(stanza.enc[0].recipient, format!("{bob}:0"));
        assert_eq!(stanza.enc[0].kind, "pkmsg");
        assert_eq!(stanza.enc[0].ratchet_key.as_ref().map(String::len), Some(66));
    }
    let tried = decryptions(&sandbox);
    assert_eq!(tried.len(), 2);
    for (copy, (line, _)) in tried.iter().zip(&sent) {
        assert_eq!((copy.phone.as_str(), copy.id.as_str()), (bob.as_str(), "M1"));
        assert_eq!(copy.from_device, format!("{alice}:{}", companion.device));
        assert_eq!((copy.stanza, copy.error.as_deref()), (Some(*line), None));
        assert_eq!(copy.secret.as_deref(), Some("05".repeat(32).as_str()));
        assert_eq!(copy.text.as_deref(), Some("hello"));
    }
    assert_eq!((tried[0].counter, tried[1].counter), (Some(0), Some(1)));
    assert_eq!(sandbox.chats(&bob).await.unwrap()[0].messages.len(), 1);
}

#[tokio::test]
async fn the_same_ciphertext_again_is_told_of_and_not_asked_for_again() {
    let (sandbox, alice, bob) = start(1000).await;
    let mut companion = Companion::linked(&sandbox, &alice).await;
    let message = companion.text(&bob, "M1", "hello", 5).await;
    for _ in 0..2 {
        companion.client.send(&message).await;
    }
    for receipt in receipts(&mut companion.client, 2).await {
        assert_eq!(attr(&receipt, "type"), "");
    }
    let tried = decryptions(&sandbox);
    assert_eq!(tried.len(), 2);
    assert!(tried[0].error.is_none());
    assert!(
        tried[1]
            .error
            .as_ref()
            .is_some_and(|error| error.contains("old counter"))
    );
}

#[tokio::test]
async fn logins_and_ends_are_logged() {
    let (sandbox, alice, _) = start(1000).await;
    let companion = Companion::linked(&sandbox, &alice).await;
    let device = u32::from(companion.device);
    let stranger = Keys::new();
    let mut refused = RawClient::connect(&sandbox, &stranger.device.noise_key, &login(&alice, companion.device)).await;
    refused.expect("failure").await;
    drop(companion);
    let closed = |what: &Observed| matches!(what, Observed::Closed(closed) if closed.phone.as_ref() == Some(&alice));
    sandbox
        .wait_for_observation(|line| closed(&line.what), PATIENCE)
        .await
        .unwrap();
    let seen = sandbox.stanza_log(0, usize::MAX).unwrap().observations;
    let logins = seen.iter().filter_map(|line| match &line.what {
        Observed::Login(login) => Some((login.phone.clone(), login.device, login.refused.as_deref())),
        _ => None,
    });
    let expected = [
        (Some(alice.clone()), Some(device), None),
        (Some(alice.clone()), Some(device), Some("401")),
    ];
    assert_eq!(logins.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn it_is_read_over_http_line_by_line() {
    let (sandbox, alice, bob) = start(1000).await;
    let base = sandbox.control_url().unwrap();
    let mut companion = Companion::linked(&sandbox, &alice).await;
    let message = companion.text(&bob, "M1", "hello", 5).await;
    companion.client.send(&message).await;
    receipts(&mut companion.client, 1).await;
    let answer = text(&base, "/sandbox/api/stanzas").await;
    assert!(answer.contains("content-type: application/x-ndjson"));
    let lines: Vec<Value> = answer
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let numbers: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let sent = lines
        .iter()
        .find(|line| line["kind"] == "stanza" && line["tag"] == "message")
        .unwrap();
    assert_eq!(
        (&sent["direction"], &sent["id"], &sent["type"]),
        (&"from_client".into(), &"M1".into(), &"text".into())
    );
    assert_eq!(sent["to"], format!("{bob}@s.whatsapp.net"));
    let tried = lines.iter().find(|line| line["kind"] == "decrypted").unwrap();
    assert_eq!((&tried["stanza"], &tried["error"]), (&sent["seq"], &Value::Null));
    let answered = |line: &&Value| line["tag"] == "ack" && line["direction"] == "to_client";
    assert_eq!(lines.iter().find(answered).unwrap()["class"], "message");

    let page = text(
        &base,
        &format!("/sandbox/api/stanzas?after={}&limit=1", numbers.len() - 1),
    )
    .await;
    let last: Value = serde_json::from_str(page.lines().last().unwrap()).unwrap();
    assert_eq!(last["seq"], numbers.len());
    let wrong = call(&base, "GET", "/sandbox/api/stanzas?after=x", None).await;
    assert_eq!(
        (wrong.status, wrong.body["code"].as_str()),
        (422, Some("invalid_query"))
    );
}

#[tokio::test]
async fn a_full_log_says_that_lines_are_missing() {
    let (sandbox, alice, _) = start(2).await;
    let base = sandbox.control_url().unwrap();
    let _companion = Companion::linked(&sandbox, &alice).await;
    let answer = text(&base, "/sandbox/api/stanzas").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!((lines[0], lines.len()), ("{\"missed\":true}", 3));
}

#[tokio::test]
async fn a_log_that_is_off_says_so() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let answer = call(&sandbox.control_url().unwrap(), "GET", "/sandbox/api/stanzas", None).await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (409, Some("stanza_log_off"))
    );
    assert_eq!(sandbox.stanza_log(0, 1).unwrap_err().code(), "stanza_log_off");
}
