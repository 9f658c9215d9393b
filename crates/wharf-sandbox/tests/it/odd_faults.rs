//! Faults of single stanzas: twice, in another order, broken, refused, slowly.

use std::time::{Duration, Instant};

use serde_json::json;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wharf_sandbox::{Action, Direction, NewPhone, Rule, Sandbox, SandboxConfig, StanzaMatch};

use crate::companion::Companion;
use crate::http::call;
use crate::raw_client::*;

async fn start() -> (Sandbox, Companion, String) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let companion = Companion::linked(&sandbox, &alice).await;
    (sandbox, companion, bob)
}

fn ping(id: &'static str) -> Node {
    NodeBuilder::new("iq")
        .attr("id", id)
        .attr("type", "get")
        .attr("xmlns", "w:p")
        .build()
}

fn answers() -> StanzaMatch {
    StanzaMatch::tag("iq").attr("type", "result")
}

async fn ids(client: &mut RawClient, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(attr(&client.expect("iq").await, "id"));
    }
    ids
}

#[tokio::test]
async fn an_answer_comes_twice() {
    let (sandbox, mut companion, _) = start().await;
    let fault = sandbox
        .fault(Rule::new(Action::Duplicate).stanza(answers()).times(1))
        .unwrap();
    for id in ["a", "b"] {
        companion.client.send(&ping(id)).await;
    }
    assert_eq!(ids(&mut companion.client, 3).await, ["a", "a", "b"]);
    assert_eq!(fault.fired(), 1);
}

#[tokio::test]
async fn a_message_that_arrives_twice_is_shown_once() {
    let (sandbox, mut companion, bob) = start().await;
    let rule = Rule::new(Action::Duplicate).stanza(StanzaMatch::tag("message"));
    let _fault = sandbox.fault(rule.direction(Direction::FromClient)).unwrap();
    let message = companion.text(&bob, "M1", "twice", 1).await;
    companion.client.send(&message).await;
    for _ in 0..2 {
        assert_eq!(attr(&companion.client.expect("ack").await, "id"), "M1");
    }
    assert_eq!(sandbox.chats(&bob).await.unwrap()[0].messages.len(), 1);
}

#[tokio::test]
async fn the_next_answer_overtakes() {
    let (sandbox, mut companion, _) = start().await;
    let _fault = sandbox.fault(Rule::new(Action::Reorder).stanza(answers())).unwrap();
    for id in ["a", "b", "c", "d"] {
        companion.client.send(&ping(id)).await;
    }
    assert_eq!(ids(&mut companion.client, 4).await, ["b", "a", "d", "c"]);
}

#[tokio::test]
async fn the_next_question_overtakes() {
    let (sandbox, mut companion, _) = start().await;
    let rule = Rule::new(Action::Reorder).stanza(StanzaMatch::tag("iq").attr("id", "a"));
    let _fault = sandbox.fault(rule.direction(Direction::FromClient)).unwrap();
    for id in ["a", "b", "c"] {
        companion.client.send(&ping(id)).await;
    }
    assert_eq!(ids(&mut companion.client, 3).await, ["b", "a", "c"]);
}

#[tokio::test]
async fn a_broken_answer_cannot_be_read_and_a_broken_question_ends_the_connection() {
    let (sandbox, mut companion, _) = start().await;
    {
        let _fault = sandbox
            .fault(Rule::new(Action::Corrupt).stanza(answers()).times(1))
            .unwrap();
        companion.client.send(&ping("a")).await;
        assert!(companion.client.is_broken().await);
    }
    let rule = Rule::new(Action::Corrupt).stanza(StanzaMatch::tag("iq"));
    let _fault = sandbox.fault(rule.direction(Direction::FromClient)).unwrap();
    companion.client.send(&ping("b")).await;
    assert!(companion.client.node().await.is_none());
}

#[tokio::test]
async fn questions_and_messages_are_refused_and_not_handled() {
    let (sandbox, mut companion, bob) = start().await;
    let base = sandbox.control_url().unwrap();
    for tag in ["iq", "message"] {
        let rule = json!({"match": {"stanza": tag}, "action": {"type": "refuse", "code": 429}});
        let made = call(&base, "POST", "/sandbox/api/faults", Some(rule)).await;
        assert_eq!((made.status, &made.body["action"]["code"]), (201, &429.into()));
    }
    let message = companion.text(&bob, "M1", "too fast", 1);
    // The bundle that the message needs is refused as well.
    sandbox.remove_fault(1).unwrap();
    let message = message.await;
    companion.client.send(&message).await;
    let ack = companion.client.expect("ack").await;
    assert_eq!(
        (attr(&ack, "id"), attr(&ack, "error")),
        ("M1".to_owned(), "429".to_owned())
    );
    assert!(sandbox.chats(&bob).await.unwrap().is_empty());
    let rule = Rule::new(Action::Refuse { code: 503 }).stanza(StanzaMatch::tag("iq"));
    let _fault = sandbox.fault(rule).unwrap();
    let answer = companion.client.ask("get", "w:p", None).await;
    let error = answer.get_optional_child("error").unwrap();
    assert_eq!(attr(error, "code"), "503");
}

#[tokio::test]
async fn a_slow_server_reads_later() {
    let (sandbox, mut companion, _) = start().await;
    let pause = Duration::from_secs(3);
    let _fault = sandbox
        .fault(Rule::new(Action::Pause(pause)).stanza(StanzaMatch::tag("iq")).times(1))
        .unwrap();
    let sent = Instant::now();
    for id in ["a", "b"] {
        companion.client.send(&ping(id)).await;
    }
    assert_eq!(ids(&mut companion.client, 1).await, ["a"]);
    assert!(sent.elapsed() < pause);
    assert_eq!(ids(&mut companion.client, 1).await, ["b"]);
    assert!(sent.elapsed() >= pause);
}
