//! Clients that send rubbish. Each loses its own connection; a well-behaved one beside it notices nothing.

use std::time::Duration;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::consts::WA_CONN_HEADER;
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig, Timing};

use crate::linking::sandbox_with_phone;
use crate::raw_client::*;

#[tokio::test]
async fn rubbish_before_the_handshake_closes_the_connection() {
    let (sandbox, _) = sandbox_with_phone().await;
    let intro = |rest: &[u8]| [&WA_CONN_HEADER[..], rest].concat();
    let openings = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        intro(&[0xff, 0xff, 0xff]),
        intro(&framed(&[])),
        intro(&framed(&[0xff; 64])),
        intro(&framed(&[0x12, 0x02, 0x0a, 0x00])),
        vec![0x45, 0x44, 0, 1, 0xff, 0xff, 0xff],
    ];
    for opening in openings {
        let mut socket = Socket::open(&sandbox).await;
        socket.write(opening.clone()).await;
        assert!(socket.is_closed().await, "{opening:?}");
    }
}

#[tokio::test]
async fn a_client_that_never_finishes_its_handshake_is_dropped() {
    let timing = Timing {
        handshake: Duration::from_secs(2),
        ..Timing::default()
    };
    let sandbox = Sandbox::start(SandboxConfig {
        timing,
        ..SandboxConfig::default()
    })
    .await
    .unwrap();
    let mut socket = Socket::open(&sandbox).await;
    socket.write(WA_CONN_HEADER.to_vec()).await;
    assert!(socket.is_closed().await);
}

#[tokio::test]
async fn rubbish_after_the_login_ends_that_connection_only() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let other = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let (other_keys, other_device) = link(&sandbox, &other).await;
    let mut witness = log_in(&sandbox, &other_keys, &other, other_device).await;
    let (keys, device) = link(&sandbox, &phone).await;
    for rubbish in [
        vec![],
        vec![0],
        vec![0, 0xff, 0xff, 0xff],
        vec![2, 1, 2, 3],
        vec![0; 4096],
    ] {
        let mut client = log_in(&sandbox, &keys, &phone, device).await;
        client.send_plain(&rubbish).await;
        assert!(client.node().await.is_none(), "{rubbish:?}");
    }
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    client.socket.write_frame(b"not encrypted at all").await;
    assert!(client.node().await.is_none());
    assert_eq!(attr(&witness.ask("get", "w:p", None).await, "type"), "result");
}

#[tokio::test]
async fn stanzas_without_what_they_need_are_survived() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    for tag in [
        "iq",
        "message",
        "receipt",
        "ack",
        "presence",
        "chatstate",
        "ib",
        "call",
        "nonsense",
    ] {
        client.send(&NodeBuilder::new_dynamic(tag.to_owned()).build()).await;
        client
            .send(
                &NodeBuilder::new_dynamic(tag.to_owned())
                    .attr("id", "x")
                    .attr("type", "set")
                    .build(),
            )
            .await;
    }
    let questions = [
        ("set", "encrypt", "registration"),
        ("set", "encrypt", "rotate"),
        ("get", "encrypt", "key"),
        ("get", "usync", "usync"),
        ("set", "w:sync:app:state", "sync"),
        ("set", "privacy", "tokens"),
        ("set", "blocklist", "item"),
        ("set", "md", "nothing"),
        ("get", "", ""),
    ];
    for (kind, xmlns, child) in questions {
        let child = NodeBuilder::new_dynamic(child.to_owned()).build();
        client.ask(kind, xmlns, Some(child)).await;
    }
    assert_eq!(attr(&client.ask("get", "w:p", None).await, "type"), "result");
}

#[tokio::test]
async fn a_message_that_the_phone_cannot_decrypt_is_asked_for_again_and_not_shown() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    activate(&mut client).await;
    let sealed = NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", "msg")
        .bytes(vec![0x33; 80])
        .build();
    let to = NodeBuilder::new("to")
        .attr("jid", wacore_binary::Jid::pn(bob.as_str()))
        .children([sealed])
        .build();
    let message = NodeBuilder::new("message")
        .attr("id", "M1")
        .attr("type", "text")
        .attr("to", wacore_binary::Jid::pn(bob.as_str()))
        .children([NodeBuilder::new("participants").children([to]).build()])
        .build();
    client.send(&message).await;
    assert_eq!(attr(&client.expect("ack").await, "id"), "M1");
    let retry = client.expect("receipt").await;
    assert_eq!(
        (attr(&retry, "type").as_str(), attr(&retry, "id").as_str()),
        ("retry", "M1")
    );
    assert!(retry.get_optional_child("keys").is_some());
    assert!(sandbox.chats(&bob).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_to_nobody_is_acknowledged_with_an_error() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    let to = wacore_binary::Jid::pn("4915100000000");
    client
        .send(
            &NodeBuilder::new("message")
                .attr("id", "M1")
                .attr("type", "text")
                .attr("to", to)
                .build(),
        )
        .await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "404");
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let config = SandboxConfig {
        chat_listen: "0.0.0.0:0".parse().unwrap(),
        ..SandboxConfig::default()
    };
    assert_eq!(Sandbox::start(config).await.unwrap_err().code(), "not_loopback");
    let config = SandboxConfig {
        control_listen: Some("[::]:0".parse().unwrap()),
        ..SandboxConfig::default()
    };
    assert_eq!(Sandbox::start(config).await.unwrap_err().code(), "not_loopback");
}
