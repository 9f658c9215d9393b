//! Phones among themselves: what one sends the other really decrypts.

use std::time::Duration;

use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;
use wharf_sandbox::{MessageStatus, NewPhone, Sandbox, SandboxConfig};

use crate::companion::Companion;
use crate::raw_client::{PATIENCE, activate, log_in};

async fn two_phones() -> (Sandbox, String, String) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let alice = sandbox
        .create_phone(NewPhone {
            name: Some("Alice".to_owned()),
            phone: None,
            ..NewPhone::default()
        })
        .await
        .unwrap();
    let bob = sandbox
        .create_phone(NewPhone {
            name: Some("Bob".to_owned()),
            phone: None,
            ..NewPhone::default()
        })
        .await
        .unwrap();
    (sandbox, alice.phone, bob.phone)
}

#[tokio::test]
async fn a_text_arrives_and_the_ticks_come_back() {
    let (sandbox, alice, bob) = two_phones().await;
    let id = sandbox.send_text(&alice, &bob, "hello").await.unwrap();
    let shown = sandbox
        .wait_for_message(&bob, |message| message.id == id, PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        (shown.text.as_str(), shown.from.as_str(), shown.from_me),
        ("hello", alice.as_str(), false)
    );
    let status = |wanted| move |message: &wharf_sandbox::Message| message.from_me && message.status == wanted;
    sandbox
        .wait_for_message(&alice, status(MessageStatus::Delivered), PATIENCE)
        .await
        .unwrap();
    sandbox.mark_read(&bob, &alice).await.unwrap();
    sandbox
        .wait_for_message(&alice, status(MessageStatus::Read), PATIENCE)
        .await
        .unwrap();
    let chats = sandbox.chats(&bob).await.unwrap();
    assert_eq!(
        (chats[0].chat.as_str(), chats[0].name.as_str()),
        (alice.as_str(), "Alice")
    );
}

#[tokio::test]
async fn many_texts_both_ways_stay_in_order() {
    let (sandbox, alice, bob) = two_phones().await;
    for number in 0..20 {
        sandbox.send_text(&alice, &bob, &format!("a{number}")).await.unwrap();
        sandbox.send_text(&bob, &alice, &format!("b{number}")).await.unwrap();
    }
    sandbox
        .wait_for_message(&bob, |message| message.text == "a19", PATIENCE)
        .await
        .unwrap();
    let chats = sandbox.chats(&bob).await.unwrap();
    let from_alice = chats[0]
        .messages
        .iter()
        .filter(|message| !message.from_me)
        .map(|message| message.text.clone());
    assert_eq!(
        from_alice.collect::<Vec<_>>(),
        (0..20).map(|number| format!("a{number}")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_offline_phone_gets_its_messages_when_it_comes_back() {
    let (sandbox, alice, bob) = two_phones().await;
    sandbox.set_online(&bob, false).await.unwrap();
    let id = sandbox.send_text(&alice, &bob, "later").await.unwrap();
    let early = sandbox
        .wait_for_message(&bob, |message| message.id == id, Duration::from_millis(100))
        .await;
    assert_eq!(early.unwrap_err().code(), "wait_timeout");
    assert_eq!(
        sandbox.send_text(&bob, &alice, "no").await.unwrap_err().code(),
        "phone_offline"
    );
    sandbox.set_online(&bob, true).await.unwrap();
    sandbox
        .wait_for_message(&bob, |message| message.id == id, PATIENCE)
        .await
        .unwrap();
}

#[tokio::test]
async fn both_names_of_an_account_reach_it() {
    let (sandbox, alice, bob) = two_phones().await;
    let lid = sandbox.phone(&bob).await.unwrap().info.lid;
    for to in [format!("+{bob}"), format!("{bob}@s.whatsapp.net"), format!("{lid}@lid")] {
        let id = sandbox.send_text(&alice, &to, "x").await.unwrap();
        sandbox
            .wait_for_message(&bob, |message| message.id == id, PATIENCE)
            .await
            .unwrap();
    }
    assert_eq!(sandbox.chats(&bob).await.unwrap().len(), 1);
}

#[tokio::test]
async fn phones_are_checked_before_they_are_made() {
    let (sandbox, alice, _) = two_phones().await;
    let create = |phone: &str| {
        sandbox.create_phone(NewPhone {
            phone: Some(phone.to_owned()),
            name: None,
            ..NewPhone::default()
        })
    };
    assert_eq!(create(&alice).await.unwrap_err().code(), "phone_taken");
    for bad in ["", "12345", "0123456789", "12345678901234567", "+49 151", "abc"] {
        assert_eq!(create(bad).await.unwrap_err().code(), "invalid_phone", "{bad}");
    }
    assert_eq!(create("+4915112345678").await.unwrap().phone, "4915112345678");
}

#[tokio::test]
async fn a_seed_repeats_the_keys_and_numbers() {
    let start = || async {
        let sandbox = Sandbox::start(SandboxConfig {
            seed: Some(7),
            ..SandboxConfig::default()
        })
        .await
        .unwrap();
        let phone = sandbox.create_phone(NewPhone::default()).await.unwrap();
        (sandbox.root_public_key(), phone)
    };
    assert_eq!(start().await, start().await);
}

#[tokio::test]
async fn a_silent_phone_reads_and_confirms_nothing() {
    let (sandbox, alice, bob) = two_phones().await;
    let silent = NewPhone {
        silent: true,
        ..NewPhone::default()
    };
    let silent = sandbox.create_phone(silent).await.unwrap().phone;
    let unconfirmed = sandbox.send_text(&alice, &silent, "hello").await.unwrap();
    sandbox
        .wait_for_message(&silent, |message| message.id == unconfirmed, PATIENCE)
        .await
        .unwrap();
    let confirmed = sandbox.send_text(&alice, &bob, "hello").await.unwrap();
    let ticked =
        |message: &wharf_sandbox::Message| message.id == confirmed && message.status == MessageStatus::Delivered;
    sandbox.wait_for_message(&alice, ticked, PATIENCE).await.unwrap();
    let still = |message: &wharf_sandbox::Message| message.id == unconfirmed;
    let still = sandbox.wait_for_message(&alice, still, PATIENCE).await.unwrap();
    assert_eq!(still.status, MessageStatus::Sent);
}

/// A phone that is asked to send a message again starts a new session; what was written under the old one still comes.
#[tokio::test]
async fn what_was_under_way_when_a_message_is_asked_for_again_is_read() {
    let (sandbox, alice, bob) = two_phones().await;
    let mut companion = Companion::linked(&sandbox, &alice).await;
    let first = companion.text(&bob, "FIRST", "first", 1).await;
    let late = companion.text(&bob, "LATE", "late", 2).await;
    companion.client.send(&first).await;
    let shows = |id: &'static str| move |message: &wharf_sandbox::Message| message.id == id;
    sandbox.wait_for_message(&bob, shows("FIRST"), PATIENCE).await.unwrap();
    let asked = sandbox.send_text(&bob, &alice, "again, please").await.unwrap();

    let retry = NodeBuilder::new("retry")
        .attr("count", "1")
        .attr("id", asked.as_str())
        .build();
    let receipt = NodeBuilder::new("receipt")
        .attr("to", Jid::pn(&bob))
        .attr("id", asked.as_str())
        .attr("type", "retry")
        .children([retry]);
    companion.client.send(&receipt.build()).await;
    let mut copies = 0;
    while copies < 2 {
        let message = companion.client.expect("message").await;
        copies += usize::from(message.attrs.get("id").is_some_and(|id| id.as_str() == asked));
    }
    companion.client.send(&late).await;
    sandbox.wait_for_message(&bob, shows("LATE"), PATIENCE).await.unwrap();
}

/// Baileys 7 tells nobody in particular that it has what the account said on its phone.
#[tokio::test]
async fn a_receipt_of_an_own_copy_needs_no_address() {
    let (sandbox, alice, bob) = two_phones().await;
    let mut companion = Companion::linked(&sandbox, &alice).await;
    let id = sandbox.send_text(&alice, &bob, "said on the phone").await.unwrap();
    companion.client.expect("message").await;
    let receipt = NodeBuilder::new("receipt")
        .attr("id", id.as_str())
        .attr("type", "sender")
        .attr("recipient", Jid::pn(&bob));
    companion.client.send(&receipt.build()).await;
    companion.client.expect("ack").await;
    let mut client = log_in(&sandbox, &companion.keys, &alice, companion.device).await;
    let waited = activate(&mut client).await;
    assert!(waited.iter().all(|node| node.tag != "message"), "{waited:?}");
}
