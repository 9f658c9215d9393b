//! Names and numbers of accounts, and what their companions are told about them.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use wharf_sandbox::{Changed, NewGroup, NewPhone, Sandbox, SandboxConfig, Timing, Typing};

use crate::companion::Companion;
use crate::linking::sandbox_with_phone;
use crate::raw_client::*;

async fn phone(sandbox: &Sandbox, number: &str) -> String {
    let new = NewPhone {
        phone: Some(number.to_owned()),
        ..NewPhone::default()
    };
    sandbox.create_phone(new).await.unwrap().phone
}

/// What the directory says of a number.
async fn check(client: &mut RawClient, number: &str) -> Node {
    let contact = NodeBuilder::new("contact")
        .bytes(format!("+{number}").into_bytes())
        .build();
    let user = NodeBuilder::new("user").children([contact]).build();
    let usync = NodeBuilder::new("usync").attr("sid", "1").children([
        NodeBuilder::new("query")
            .children([NodeBuilder::new("contact").build()])
            .build(),
        NodeBuilder::new("list").children([user]).build(),
    ]);
    let answer = client.ask("get", "usync", Some(usync.build())).await;
    let list = answer.get_optional_child("usync").unwrap().get_optional_child("list");
    list.unwrap().get_optional_child("user").unwrap().clone()
}

#[tokio::test]
async fn numbers_that_are_spelled_in_two_ways_are_one_account() {
    let (sandbox, alice) = sandbox_with_phone().await;
    let brazilian = phone(&sandbox, "5511987654321").await;
    let mexican = phone(&sandbox, "525512345678").await;
    let mut hers = Companion::linked(&sandbox, &alice).await;
    for (dialled, number) in [("551187654321", &brazilian), ("5215512345678", &mexican)] {
        let user = check(&mut hers.client, dialled).await;
        assert_eq!(attr(&user, "jid"), Jid::pn(number.as_str()).to_string(), "{dialled}");
        assert_eq!(attr(user.get_optional_child("contact").unwrap(), "type"), "in");
        let taken = NewPhone {
            phone: Some(dialled.to_owned()),
            ..NewPhone::default()
        };
        assert_eq!(sandbox.create_phone(taken).await.unwrap_err().code(), "phone_taken");
    }
    sandbox.send_text(&alice, "551187654321", "olá").await.unwrap();
    sandbox
        .wait_for_message(&brazilian, |message| message.text == "olá", PATIENCE)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_account_has_as_many_companions_as_the_network_allows() {
    let config = SandboxConfig {
        companions: 2,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let (_, first) = link(&sandbox, &alice).await;
    link(&sandbox, &alice).await;
    let keys = Keys::new();
    let (_client, reference) = show_code(&sandbox, &keys).await;
    let refused = sandbox.scan(&alice, &keys.qr(&reference)).await.unwrap_err();
    assert_eq!(refused.code(), "too_many_devices");
    sandbox.unlink(&alice, first).await.unwrap();
    link(&sandbox, &alice).await;
}

#[tokio::test]
async fn everybody_who_is_there_hears_what_somebody_says_about_himself() {
    let (sandbox, alice) = sandbox_with_phone().await;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let mut hers = Companion::linked(&sandbox, &alice).await;
    let mut his = Companion::linked(&sandbox, &bob).await;
    let about = NodeBuilder::new("status").bytes(b"gone fishing".to_vec()).build();
    hers.client.ask("set", "status", Some(about)).await;
    let notice = loop {
        let notice = his.client.expect("notification").await;
        if attr(&notice, "type") == "status" {
            break notice;
        }
    };
    assert_eq!(attr(&notice, "from"), Jid::pn(alice.as_str()).to_string());
    assert_eq!(bytes_of(notice.get_optional_child("set").unwrap()), b"gone fishing");
}

#[tokio::test]
async fn what_is_marked_as_old_is_told_at_every_login_until_it_is_fetched() {
    let (sandbox, alice) = sandbox_with_phone().await;
    let mut hers = Companion::linked(&sandbox, &alice).await;
    sandbox.mark_dirty(&alice, "groups").await.unwrap();
    let told = |node: &Node| node.get_optional_child("dirty").map(|dirty| attr(dirty, "type"));
    assert_eq!(told(&hers.client.expect("ib").await).as_deref(), Some("groups"));
    hers.client = log_in(&sandbox, &hers.keys, &alice, hers.device).await;
    let again = hers.client.expect("ib").await;
    assert_eq!(told(&again).as_deref(), Some("groups"));
    let clean = NodeBuilder::new("clean")
        .attr("type", "groups")
        .attr(
            "timestamp",
            attr(again.get_optional_child("dirty").unwrap(), "timestamp"),
        )
        .build();
    hers.client.ask("set", "urn:xmpp:whatsapp:dirty", Some(clean)).await;
    hers.client = log_in(&sandbox, &hers.keys, &alice, hers.device).await;
    let waited = activate(&mut hers.client).await;
    assert!(waited.iter().all(|node| node.get_optional_child("dirty").is_none()));
    assert_eq!(
        sandbox.mark_dirty(&alice, "cellar").await.unwrap_err().code(),
        "invalid_dirt"
    );
}

#[tokio::test]
async fn typing_waits_a_moment_for_who_is_away_and_phones_type_as_well() {
    let timing = Timing {
        chat_state: std::time::Duration::from_secs(60),
        ..Timing::default()
    };
    let config = SandboxConfig {
        timing,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let mut his = Companion::linked(&sandbox, &bob).await;
    his.client.send(&NodeBuilder::new("xmlstreamend").build()).await;
    while his.client.node().await.is_some() {}
    let mut changes = sandbox.changes();
    sandbox.type_in(&alice, &bob, Typing::Recording, None).unwrap();
    let change = changes.recv().await.unwrap();
    let shown = Changed::Typing {
        chat: alice.clone(),
        typing: Typing::Recording,
    };
    assert_eq!((change.phone, change.what), (bob.clone(), shown));
    his.client = log_in(&sandbox, &his.keys, &bob, his.device).await;
    let ask = NodeBuilder::new("active").build();
    let question = NodeBuilder::new("iq")
        .attr("id", "active")
        .attr("type", "set")
        .attr("xmlns", "passive")
        .children([ask]);
    his.client.send(&question.build()).await;
    let heard = his.client.expect("chatstate").await;
    assert_eq!(attr(&heard, "from"), Jid::pn(alice.as_str()).to_string());
    assert_eq!(attr(heard.get_optional_child("composing").unwrap(), "media"), "audio");
    let soon = Some(std::time::Duration::from_millis(20));
    sandbox.type_in(&alice, &bob, Typing::Composing, soon).unwrap();
    assert!(
        his.client
            .expect("chatstate")
            .await
            .get_optional_child("composing")
            .is_some()
    );
    assert!(
        his.client
            .expect("chatstate")
            .await
            .get_optional_child("paused")
            .is_some()
    );
}

#[tokio::test]
async fn who_changes_the_number_keeps_chats_and_groups_and_is_announced() {
    let dir = tempfile::tempdir().unwrap();
    let config = || SandboxConfig {
        store: wharf_sandbox::StoreConfig::File(dir.path().join("sandbox.db")),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config()).await.unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap();
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    sandbox.send_text(&alice.phone, &bob, "hello").await.unwrap();
    let group = NewGroup {
        subject: "Supper".to_owned(),
        members: vec![bob.clone()],
    };
    let group = sandbox.create_group(&alice.phone, group).await.unwrap().group;
    let mut hers = Companion::linked(&sandbox, &alice.phone).await;
    let mut his = Companion::linked(&sandbox, &bob).await;
    check(&mut his.client, &alice.phone).await;
    let devices = NodeBuilder::new("user")
        .attr("jid", Jid::pn(alice.phone.as_str()))
        .build();
    let usync = NodeBuilder::new("usync").attr("sid", "1").children([
        NodeBuilder::new("query")
            .children([NodeBuilder::new("devices").attr("version", "2").build()])
            .build(),
        NodeBuilder::new("list").children([devices]).build(),
    ]);
    his.client.ask("get", "usync", Some(usync.build())).await;

    let new = "15550109999";
    let moved = sandbox.change_number(&alice.phone, new).await.unwrap();
    assert_eq!((moved.phone.as_str(), &moved.name), (new, &alice.name));
    assert_ne!(moved.lid, alice.lid);
    while hers.client.node().await.is_some() {}
    let change = loop {
        let notice = his.client.expect("notification").await;
        if attr(&notice, "type") == "contacts" {
            break notice.get_optional_child("modify").unwrap().clone();
        }
    };
    assert_eq!(
        (attr(&change, "old"), attr(&change, "new")),
        (Jid::pn(alice.phone.as_str()).to_string(), Jid::pn(new).to_string())
    );
    sandbox.stop().await;

    let sandbox = Sandbox::start(config()).await.unwrap();
    assert!(sandbox.phone(&alice.phone).await.is_none());
    assert_eq!(sandbox.chats(new).await.unwrap()[0].messages[0].text, "hello");
    let members = sandbox.group(&group).unwrap().members;
    assert!(members.iter().any(|member| member.phone == new && member.owner));
    let again = NewPhone {
        phone: Some(alice.phone.clone()),
        ..NewPhone::default()
    };
    assert_eq!(sandbox.create_phone(again).await.unwrap_err().code(), "phone_taken");
    sandbox.send_text(new, &bob, "it is me").await.unwrap();
    let arrived = |message: &wharf_sandbox::Message| message.text == "it is me" && message.from == new;
    sandbox.wait_for_message(&bob, arrived, PATIENCE).await.unwrap();
}
