//! Who may write to whom.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent};
use wharf_sandbox::{ContactRules, NewPhone, Sandbox, SandboxConfig};

use crate::companion::Companion;
use crate::raw_client::*;

struct Town {
    sandbox: Sandbox,
    alice: String,
    bob: String,
    /// Bob's companion.
    his: Companion,
}

/// Alice's account follows these rules.
async fn town(rules: ContactRules) -> Town {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let alice = NewPhone {
        rules,
        ..NewPhone::default()
    };
    let alice = sandbox.create_phone(alice).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let his = Companion::linked(&sandbox, &bob).await;
    Town {
        sandbox,
        alice,
        bob,
        his,
    }
}

fn restricted() -> ContactRules {
    ContactRules {
        restricted: true,
        ..ContactRules::default()
    }
}

/// Sends a text and returns the code of the error, if there is one.
async fn write(his: &mut Companion, to: &str, id: &str, token: Option<Node>) -> String {
    let mut message = his.text(to, id, "hello", 1).await;
    if let Some(NodeContent::Nodes(children)) = &mut message.content {
        children.extend(token);
    }
    his.client.send(&message).await;
    loop {
        let ack = his.client.expect("ack").await;
        if attr(&ack, "id") == id {
            return attr(&ack, "error");
        }
    }
}

async fn notice(client: &mut RawClient, kind: &str) -> Node {
    loop {
        let notice = client.expect("notification").await;
        if attr(&notice, "type") == kind {
            return notice;
        }
    }
}

/// The token of a notice that brings one.
fn token_of(notice: &Node) -> Node {
    let token = notice.get_optional_child("tokens").unwrap().get_optional_child("token");
    NodeBuilder::new("tctoken").bytes(bytes_of(token.unwrap())).build()
}

#[tokio::test]
async fn a_stranger_is_refused_until_he_shows_the_token_that_he_was_given() {
    let Town {
        sandbox,
        alice,
        bob,
        mut his,
    } = town(restricted()).await;
    assert_eq!(write(&mut his, &alice, "M1", None).await, "463");
    assert!(sandbox.chats(&alice).await.unwrap().is_empty());

    sandbox.send_text(&alice, &bob, "write to me").await.unwrap();
    let notice = notice(&mut his.client, "privacy_token").await;
    assert_eq!(attr(&notice, "from"), Jid::pn(alice.as_str()).to_string());
    assert!(attr(&notice, "sender_lid").ends_with("@lid"));
    // To have been written to is not enough.
    assert_eq!(write(&mut his, &alice, "M2", None).await, "463");
    let forged = NodeBuilder::new("tctoken").bytes(vec![7; 32]).build();
    assert_eq!(write(&mut his, &alice, "M3", Some(forged)).await, "463");
    assert_eq!(write(&mut his, &alice, "M4", Some(token_of(&notice))).await, "");
    let arrived = |message: &wharf_sandbox::Message| message.id == "M4";
    sandbox.wait_for_message(&alice, arrived, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_companion_gives_tokens_as_well() {
    let Town {
        sandbox,
        alice,
        bob,
        mut his,
    } = town(restricted()).await;
    let mut hers = Companion::linked(&sandbox, &alice).await;
    let token = NodeBuilder::new("token")
        .attr("jid", Jid::pn(bob.as_str()).with_device(1))
        .attr("t", "1700000000")
        .attr("type", "trusted_contact");
    let tokens = NodeBuilder::new("tokens").children([token.build()]).build();
    let answer = hers.client.ask("set", "privacy", Some(tokens)).await;
    assert_eq!(attr(&answer, "type"), "result");
    let notice = notice(&mut his.client, "privacy_token").await;
    assert_eq!(write(&mut his, &alice, "M1", Some(token_of(&notice))).await, "");
}

#[tokio::test]
async fn strangers_do_not_see_the_picture_and_hear_no_presence() {
    let Town { alice, mut his, .. } = town(restricted()).await;
    let query = NodeBuilder::new("picture").attr("type", "image").attr("query", "url");
    let question = NodeBuilder::new("iq")
        .attr("id", "picture")
        .attr("type", "get")
        .attr("xmlns", "w:profile:picture")
        .attr("target", Jid::pn(alice.as_str()))
        .children([query.build()]);
    let subscription = NodeBuilder::new("presence")
        .attr("type", "subscribe")
        .attr("to", Jid::pn(alice.as_str()));
    his.client.send(&subscription.build()).await;
    his.client.send(&question.build()).await;
    // The first thing heard is the answer to what was asked last.
    let answer = loop {
        let node = his.client.node().await.unwrap();
        assert_ne!(node.tag, "presence");
        if attr(&node, "id") == "picture" {
            break node;
        }
    };
    let error = answer
        .get_optional_child("picture")
        .unwrap()
        .get_optional_child("error");
    assert_eq!(attr(error.unwrap(), "code"), "401");
}

/// What a query in JSON is answered.
async fn query(client: &mut RawClient, number: &'static str) -> serde_json::Value {
    let query = NodeBuilder::new("query")
        .attr("query_id", number)
        .bytes(b"{\"variables\":{}}".to_vec());
    let answer = client.ask("get", "w:mex", Some(query.build())).await;
    serde_json::from_slice(&bytes_of(answer.get_optional_child("result").unwrap())).unwrap()
}

#[tokio::test]
async fn only_so_many_chats_can_be_started() {
    let Town {
        sandbox,
        alice,
        bob,
        mut his,
    } = town(ContactRules::default()).await;
    let carol = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let dave = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let rules = ContactRules {
        new_chats: Some(1),
        ..ContactRules::default()
    };
    sandbox.set_contact_rules(&bob, rules).await.unwrap();
    let told = notice(&mut his.client, "mex").await;
    let update = told.get_optional_child("update").unwrap();
    assert_eq!(attr(update, "op_name"), "MessageCappingInfoNotification");

    assert_eq!(write(&mut his, &alice, "M1", None).await, "");
    assert_eq!(write(&mut his, &carol, "M2", None).await, "475");
    // Who wrote first can be answered, and who was written to can be written to again.
    sandbox.send_text(&dave, &bob, "hello").await.unwrap();
    assert_eq!(write(&mut his, &dave, "M3", None).await, "");
    assert_eq!(write(&mut his, &alice, "M4", None).await, "");
    let info = query(&mut his.client, "24503548349331633").await;
    let info = &info["data"]["xwa2_message_capping_info"];
    assert_eq!(
        (&info["total_quota"], &info["used_quota"], &info["capping_status"]),
        (&1.into(), &1.into(), &"CAPPED".into())
    );
    let refused = sandbox.send_text(&bob, &carol, "hello").await.unwrap_err();
    assert_eq!(refused.code(), "not_allowed");
}

#[tokio::test]
async fn a_locked_account_starts_no_chat_until_the_lock_ends() {
    let Town {
        sandbox,
        alice,
        bob,
        mut his,
    } = town(ContactRules::default()).await;
    let timelock = "23983697327930364";
    let free = query(&mut his.client, timelock).await;
    assert_eq!(free["data"]["xwa2_fetch_account_reachout_timelock"]["is_active"], false);
    let locked = |until| ContactRules {
        locked_until: Some(until),
        ..ContactRules::default()
    };
    let far = 4_000_000_000;
    sandbox.set_contact_rules(&bob, locked(far)).await.unwrap();
    let told = notice(&mut his.client, "mex").await;
    let told: serde_json::Value =
        serde_json::from_slice(&bytes_of(told.get_optional_child("update").unwrap())).unwrap();
    assert_eq!(
        told["data"]["xwa2_notify_account_reachout_timelock"]["time_enforcement_ends"],
        far.to_string()
    );
    assert_eq!(write(&mut his, &alice, "M1", None).await, "463");
    sandbox.set_contact_rules(&bob, locked(1)).await.unwrap();
    assert_eq!(write(&mut his, &alice, "M2", None).await, "");
}

#[tokio::test]
async fn rules_and_who_knows_whom_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = || SandboxConfig {
        store: wharf_sandbox::StoreConfig::File(dir.path().join("sandbox.db")),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config()).await.unwrap();
    let alice = NewPhone {
        rules: restricted(),
        ..NewPhone::default()
    };
    let alice = sandbox.create_phone(alice).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    sandbox.send_text(&alice, &bob, "hello").await.unwrap();
    sandbox.stop().await;
    let sandbox = Sandbox::start(config()).await.unwrap();
    assert_eq!(sandbox.contact_rules(&alice).unwrap(), restricted());
    // The token that was given then still opens the door.
    sandbox.send_text(&bob, &alice, "hello back").await.unwrap();
    let carol = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let strict = ContactRules {
        salted_tokens: false,
        ..restricted()
    };
    sandbox.set_contact_rules(&alice, strict).await.unwrap();
    sandbox.send_text(&bob, &alice, "still here").await.unwrap();
    assert_eq!(
        sandbox.send_text(&carol, &alice, "hello").await.unwrap_err().code(),
        "not_allowed"
    );
}
