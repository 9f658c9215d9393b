//! Faults, switched on and off from Rust and over HTTP.

use std::time::{Duration, Instant};

use futures::SinkExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_websockets::Message;
use wacore_binary::builder::NodeBuilder;
use wharf_sandbox::{
    Action, Conflict, Direction, NewPhone, Observation, Observed, Rule, Sandbox, SandboxConfig, StanzaMatch,
};

use crate::companion::Companion;
use crate::http::call;
use crate::raw_client::*;

/// Long enough for a prompt answer to have come, were there one.
const SILENCE: Duration = Duration::from_millis(200);

async fn start() -> (Sandbox, Companion, String) {
    let sandbox = Sandbox::start(SandboxConfig {
        stanza_log: 10_000,
        ..SandboxConfig::default()
    })
    .await
    .unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let companion = Companion::linked(&sandbox, &alice).await;
    (sandbox, companion, bob)
}

fn message_ack() -> StanzaMatch {
    StanzaMatch::tag("ack").attr("class", "message")
}

fn lost(line: &Observation, tag: &str) -> bool {
    matches!(&line.what, Observed::Lost(lost) if lost.stanza.tag == tag)
}

async fn shown(sandbox: &Sandbox, phone: &str, text: &str) {
    sandbox
        .wait_for_message(phone, |message| message.text == text, PATIENCE)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_connection_dropped_at_a_message_loses_it() {
    let (sandbox, mut companion, bob) = start().await;
    let rule = Rule::new(Action::DropConnection).stanza(StanzaMatch::tag("message"));
    let fault = sandbox.fault(rule.direction(Direction::FromClient).times(1)).unwrap();
    let message = companion.text(&bob, "M1", "lost", 1).await;
    companion.client.send(&message).await;
    assert!(companion.client.node().await.is_none());
    assert_eq!(fault.fired(), 1);
    let seen = sandbox.stanza_log(0, usize::MAX).unwrap().observations;
    assert!(seen.iter().any(|line| lost(line, "message")));
    companion.log_in_again(&sandbox).await;
    let message = companion.text(&bob, "M1", "again", 1).await;
    companion.client.send(&message).await;
    shown(&sandbox, &bob, "again").await;
    assert_eq!(sandbox.chats(&bob).await.unwrap()[0].messages.len(), 1);
}

#[tokio::test]
async fn a_connection_dropped_at_an_ack_has_taken_the_message() {
    let (sandbox, mut companion, bob) = start().await;
    let _fault = sandbox
        .fault(Rule::new(Action::DropConnection).stanza(message_ack()))
        .unwrap();
    let message = companion.text(&bob, "M1", "taken", 1).await;
    companion.client.send(&message).await;
    while let Some(node) = companion.client.node().await {
        assert_ne!(node.tag, "ack");
    }
    shown(&sandbox, &bob, "taken").await;
}

#[tokio::test]
async fn a_delayed_ack_comes_later_and_is_overtaken() {
    let (sandbox, mut companion, bob) = start().await;
    let delay = Duration::from_secs(3);
    let _fault = sandbox
        .fault(Rule::new(Action::Delay(delay)).stanza(message_ack()))
        .unwrap();
    let message = companion.text(&bob, "M1", "late", 1).await;
    let sent = Instant::now();
    companion.client.send(&message).await;
    assert_eq!(attr(&companion.client.ask("get", "w:p", None).await, "type"), "result");
    assert!(sent.elapsed() < delay);
    companion.client.expect("ack").await;
    assert!(sent.elapsed() >= delay);
}

#[tokio::test]
async fn delays_of_many_stanzas_overlap_and_keep_their_order() {
    let (sandbox, mut companion, bob) = start().await;
    let rule = Rule::new(Action::Delay(Duration::from_secs(2))).stanza(StanzaMatch::tag("message"));
    let _fault = sandbox.fault(rule.direction(Direction::FromClient)).unwrap();
    let sent = Instant::now();
    for number in 0..10 {
        let message = companion.text(&bob, &format!("M{number}"), "late", 1).await;
        companion.client.send(&message).await;
    }
    for number in 0..10 {
        assert_eq!(attr(&companion.client.expect("ack").await, "id"), format!("M{number}"));
    }
    // One after the other they would need twenty seconds.
    assert!((2..15).contains(&sent.elapsed().as_secs()), "{:?}", sent.elapsed());
}

#[tokio::test]
async fn what_is_held_back_is_lost_with_the_connection() {
    let (sandbox, mut companion, bob) = start().await;
    let rule = Rule::new(Action::Delay(Duration::from_secs(600))).stanza(StanzaMatch::tag("message"));
    let fault = sandbox.fault(rule).unwrap();
    let message = companion.text(&bob, "M1", "never", 1).await;
    companion.client.send(&message).await;
    fault.wait_fired(1, PATIENCE).await.unwrap();
    drop(companion);
    sandbox
        .wait_for_observation(|line| lost(line, "message"), PATIENCE)
        .await
        .unwrap();
    assert!(sandbox.chats(&bob).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_ack_never_comes() {
    let (sandbox, mut companion, bob) = start().await;
    let fault = sandbox
        .fault(Rule::new(Action::Lose).stanza(message_ack()).times(1))
        .unwrap();
    for id in ["M1", "M2"] {
        let message = companion.text(&bob, id, id, 1).await;
        companion.client.send(&message).await;
    }
    assert_eq!(attr(&companion.client.expect("ack").await, "id"), "M2");
    assert_eq!(fault.fired(), 1);
    shown(&sandbox, &bob, "M1").await;
}

#[tokio::test]
async fn a_lost_receipt_of_the_client_brings_the_message_again() {
    let (sandbox, mut companion, bob) = start().await;
    let alice = companion.phone.clone();
    upload_key(&mut companion.client, &companion.keys).await;
    let receipts = Rule::new(Action::Lose)
        .account(&alice)
        .stanza(StanzaMatch::tag("receipt"))
        .direction(Direction::FromClient);
    let fault = sandbox.fault(receipts).unwrap();
    let id = sandbox.send_text(&bob, &alice, "hi").await.unwrap();
    let receipt = NodeBuilder::new("receipt")
        .attr("id", id.as_str())
        .attr("to", wacore_binary::Jid::pn(bob.as_str()))
        .build();
    while attr(&companion.client.expect("message").await, "id") != id {}
    companion.client.send(&receipt).await;
    fault.wait_fired(1, PATIENCE).await.unwrap();
    drop(fault);
    let mut again = log_in(&sandbox, &companion.keys, &alice, companion.device).await;
    assert!(activate(&mut again).await.iter().any(|node| attr(node, "id") == id));
}

#[tokio::test]
async fn stream_errors_have_the_code_or_conflict_asked_for() {
    let (sandbox, mut companion, _) = start().await;
    let alice = companion.phone.clone();
    for code in [503, 515, 429] {
        let error = Action::StreamError {
            code: Some(code),
            conflict: None,
        };
        let rule = Rule::new(error).stanza(StanzaMatch::tag("iq").attr("xmlns", "w:p"));
        let fault = sandbox.fault(rule.account(&alice)).unwrap();
        let ping = NodeBuilder::new("iq")
            .attr("id", "p")
            .attr("type", "get")
            .attr("xmlns", "w:p");
        companion.client.send(&ping.build()).await;
        let error = companion.client.expect("stream:error").await;
        assert_eq!(attr(&error, "code"), code.to_string());
        drop(fault);
        companion.log_in_again(&sandbox).await;
    }
    let removed = Action::StreamError {
        code: Some(401),
        conflict: Some(Conflict::DeviceRemoved),
    };
    let _fault = sandbox.fault(Rule::new(removed).now()).unwrap();
    let error = companion.client.expect("stream:error").await;
    let conflict = error.get_optional_child("conflict").unwrap();
    assert_eq!(
        (attr(&error, "code").as_str(), attr(conflict, "type").as_str()),
        ("401", "device_removed")
    );
}

#[tokio::test]
async fn a_half_open_connection_takes_bytes_and_answers_nothing() {
    let (sandbox, mut companion, bob) = start().await;
    let alice = companion.phone.clone();
    let fault = sandbox
        .fault(Rule::new(Action::HalfOpen).account(&alice).now())
        .unwrap();
    assert_eq!(fault.fired(), 1);
    for _ in 0..100 {
        companion
            .client
            .send(&NodeBuilder::new("iq").attr("id", "p").build())
            .await;
    }
    companion.client.socket.stream.send(Message::ping("x")).await.unwrap();
    let id = sandbox.send_text(&bob, &alice, "waits").await.unwrap();
    let answered = tokio::time::timeout(SILENCE, futures::StreamExt::next(&mut companion.client.socket.stream));
    assert!(answered.await.is_err());
    let mut again = log_in(&sandbox, &companion.keys, &alice, companion.device).await;
    assert!(activate(&mut again).await.iter().any(|node| attr(node, "id") == id));
    assert_eq!(attr(&again.ask("get", "w:p", None).await, "type"), "result");
}

#[tokio::test]
async fn logins_are_refused_as_often_as_asked_for() {
    let (sandbox, companion, _) = start().await;
    let alice = companion.phone.clone();
    let fault = sandbox
        .fault(Rule::new(Action::RefuseLogin { code: 503 }).account(&alice).times(2))
        .unwrap();
    let key = &companion.keys.device.noise_key;
    for _ in 0..2 {
        let mut client = RawClient::connect(&sandbox, key, &login(&alice, companion.device)).await;
        assert_eq!(attr(&client.expect("failure").await, "reason"), "503");
    }
    assert_eq!(fault.fired(), 2);
    log_in(&sandbox, &companion.keys, &alice, companion.device).await;
}

#[tokio::test]
async fn connections_are_refused_while_the_fault_is_in_force() {
    let (sandbox, companion, _) = start().await;
    let fault = sandbox.fault(Rule::new(Action::RefuseConnection)).unwrap();
    let address = sandbox.chat_url().replace("ws://", "").replace("/ws/chat", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    drop(fault);
    log_in(&sandbox, &companion.keys, &companion.phone, companion.device).await;
}

#[tokio::test]
async fn a_fault_that_happens_now_spares_other_accounts_and_later_connections() {
    let (sandbox, mut companion, bob) = start().await;
    let mut other = Companion::linked(&sandbox, &bob).await;
    let rule = Rule::new(Action::DropConnection).account(&companion.phone).now();
    let fault = sandbox.fault(rule).unwrap();
    assert!(companion.client.node().await.is_none());
    assert_eq!(attr(&other.client.ask("get", "w:p", None).await, "type"), "result");
    companion.log_in_again(&sandbox).await;
    assert_eq!(fault.fired(), 1);
}

#[tokio::test]
async fn faults_are_made_shown_and_removed_over_http() {
    let (sandbox, mut companion, bob) = start().await;
    let base = sandbox.control_url().unwrap();
    let rule = json!({
        "match": {
            "account": format!("+{}", companion.phone),
            "stanza": {"tag": "ack", "attrs": {"class": "message"}},
            "direction": "to_client",
        },
        "action": {"type": "lose"},
        "count": 1,
        "seed": 3,
    });
    let made = call(&base, "POST", "/sandbox/api/faults", Some(rule)).await;
    assert_eq!((made.status, &made.body["fired"]), (201, &json!(0)));
    assert_eq!(made.body["match"]["account"], companion.phone.as_str());
    for id in ["M1", "M2"] {
        let message = companion.text(&bob, id, id, 1).await;
        companion.client.send(&message).await;
    }
    assert_eq!(attr(&companion.client.expect("ack").await, "id"), "M2");
    let listed = call(&base, "GET", "/sandbox/api/faults", None).await.body;
    let shown = &listed["data"][0];
    assert_eq!(
        (&shown["id"], &shown["fired"], &shown["spent"], &shown["seed"]),
        (&made.body["id"], &json!(1), &json!(true), &json!(3))
    );
    let path = format!("/sandbox/api/faults/{}", made.body["id"]);
    assert_eq!(call(&base, "GET", &path, None).await.body, *shown);
    assert_eq!(call(&base, "DELETE", &path, None).await.status, 204);
    let gone = call(&base, "DELETE", &path, None).await;
    assert_eq!((gone.status, gone.body["code"].as_str()), (404, Some("unknown_fault")));
}

#[tokio::test]
async fn every_action_can_be_asked_for_over_http() {
    let (sandbox, _companion, _) = start().await;
    let base = sandbox.control_url().unwrap();
    for action in [
        json!({"type": "drop_connection"}),
        json!({"type": "delay", "ms": 5}),
        json!({"type": "lose"}),
        json!({"type": "stream_error", "code": 503}),
        json!({"type": "stream_error", "conflict": "replaced"}),
        json!({"type": "half_open"}),
        json!({"type": "refuse_login", "code": 503}),
        json!({"type": "refuse_connection"}),
    ] {
        let body = json!({"action": action, "probability": 0.001, "lasts_ms": 1000});
        let made = call(&base, "POST", "/sandbox/api/faults", Some(body)).await;
        assert_eq!(made.status, 201, "{action}: {}", made.body);
        for (name, value) in action.as_object().unwrap() {
            assert_eq!(made.body["action"][name], *value);
        }
        let path = format!("/sandbox/api/faults/{}", made.body["id"]);
        assert_eq!(call(&base, "DELETE", &path, None).await.status, 204);
    }
}

#[tokio::test]
async fn rules_without_sense_are_problems_with_codes() {
    let (sandbox, _companion, _) = start().await;
    let base = sandbox.control_url().unwrap();
    let lose = json!({"type": "lose"});
    let cases: [(Value, &str); 9] = [
        (json!({}), "invalid_body"),
        (json!({"action": {"type": "explode"}}), "invalid_body"),
        (
            json!({"action": lose, "match": {"stanza": {"name": "x"}}}),
            "invalid_body",
        ),
        (json!({"action": lose, "probability": 2}), "invalid_probability"),
        (json!({"action": lose, "count": 0}), "invalid_count"),
        (
            json!({"action": lose, "match": {"account": "1234567"}}),
            "unknown_account",
        ),
        (json!({"action": {"type": "delay", "ms": 0}}), "invalid_delay"),
        (
            json!({"action": {"type": "refuse_connection"}, "match": {"direction": "to_client"}}),
            "inapplicable_match",
        ),
        (json!({"action": lose, "now": true}), "inapplicable_now"),
    ];
    for (body, code) in cases {
        let answer = call(&base, "POST", "/sandbox/api/faults", Some(body.clone())).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str()),
            (422, Some(code)),
            "{body}"
        );
    }
    for _ in 0..64 {
        sandbox
            .fault(Rule::new(Action::Lose).stanza(StanzaMatch::tag("x")))
            .unwrap()
            .keep();
    }
    let many = call(&base, "POST", "/sandbox/api/faults", Some(json!({"action": lose}))).await;
    assert_eq!(
        (many.status, many.body["code"].as_str()),
        (409, Some("too_many_faults"))
    );
}
