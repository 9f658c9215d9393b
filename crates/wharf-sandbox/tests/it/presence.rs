//! Who is there, and who may know.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use wharf_sandbox::{NewGroup, NewPhone, Sandbox, SandboxConfig};

use crate::companion::Companion;
use crate::raw_client::*;

struct Pair {
    sandbox: Sandbox,
    alice: String,
    hers: RawClient,
    his: RawClient,
    bob: String,
}

/// Alice's phone is silent: only her companion makes her available.
async fn pair() -> Pair {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let silent = NewPhone {
        silent: true,
        ..NewPhone::default()
    };
    let alice = sandbox.create_phone(silent).await.unwrap().phone;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let hers = Companion::linked(&sandbox, &alice).await.client;
    let his = Companion::linked(&sandbox, &bob).await.client;
    Pair {
        sandbox,
        alice,
        hers,
        his,
        bob,
    }
}

fn presence(kind: &str) -> NodeBuilder {
    NodeBuilder::new("presence").attr("type", kind)
}

async fn hear(client: &mut RawClient) -> (String, String) {
    let told = client.expect("presence").await;
    (attr(&told, "type"), attr(&told, "last"))
}

async fn hide(client: &mut RawClient, what: &str) {
    let category = NodeBuilder::new("category")
        .attr("name", what)
        .attr("value", "none")
        .build();
    let privacy = NodeBuilder::new("privacy").children([category]).build();
    assert_eq!(
        attr(&client.ask("set", "privacy", Some(privacy)).await, "type"),
        "result"
    );
}

#[tokio::test]
async fn who_subscribed_hears_of_every_change_until_it_does_not_want_to() {
    let mut pair = pair().await;
    let Pair { alice, hers, his, .. } = &mut pair;
    his.send(&presence("subscribe").attr("to", Jid::pn(alice.as_str())).build())
        .await;
    assert_eq!(hear(his).await, ("unavailable".into(), "deny".into()));
    hers.send(&presence("available").build()).await;
    assert_eq!(hear(his).await, (String::new(), String::new()));
    // The same again is no change.
    hers.send(&presence("available").build()).await;
    hers.send(&presence("unavailable").build()).await;
    let (kind, last) = hear(his).await;
    assert_eq!(kind, "unavailable");
    assert!(last.parse::<u64>().unwrap() > 1_700_000_000);

    hide(hers, "last").await;
    hers.send(&presence("available").build()).await;
    assert_eq!(hear(his).await.0, "");
    hers.send(&NodeBuilder::new("xmlstreamend").build()).await;
    assert_eq!(hear(his).await, ("unavailable".into(), "deny".into()));
}

#[tokio::test]
async fn who_unsubscribed_hears_nothing_more_and_nobody_sees_what_is_hidden() {
    let mut pair = pair().await;
    let Pair {
        sandbox,
        alice,
        hers,
        his,
        ..
    } = &mut pair;
    let lid = sandbox.phone(alice).await.unwrap().info.lid;
    let by_lid = || Jid::lid(lid.as_str());
    his.send(&presence("subscribe").attr("to", by_lid()).build()).await;
    assert_eq!(attr(&his.expect("presence").await, "from"), by_lid().to_string());
    his.send(&presence("unsubscribe").attr("to", by_lid()).build()).await;
    hide(his, "readreceipts").await;
    hers.send(&presence("available").build()).await;
    hide(hers, "online").await;
    his.send(&presence("subscribe").attr("to", Jid::pn(alice.as_str())).build())
        .await;
    // The one answer: what happened in between was not told, and what is hidden is not shown.
    let told = his.expect("presence").await;
    assert_eq!(
        (attr(&told, "from"), attr(&told, "type")),
        (Jid::pn(alice.as_str()).to_string(), "unavailable".into())
    );
}

fn composing(to: &Jid) -> Node {
    let state = NodeBuilder::new("chatstate").attr("to", to);
    state.children([NodeBuilder::new("composing").build()]).build()
}

#[tokio::test]
async fn typing_reaches_the_other_side_and_the_members_of_a_group() {
    let mut pair = pair().await;
    let new = NewGroup {
        subject: "Supper".to_owned(),
        members: vec![pair.bob.clone()],
    };
    let group = pair.sandbox.create_group(&pair.alice, new).await.unwrap().group;
    let lid = pair.sandbox.phone(&pair.alice).await.unwrap().info.lid;
    pair.hers.send(&composing(&Jid::pn(pair.bob.as_str()))).await;
    let told = pair.his.expect("chatstate").await;
    assert_eq!(attr(&told, "from"), Jid::pn(pair.alice.as_str()).to_string());
    pair.hers.send(&composing(&group.parse().unwrap())).await;
    let told = pair.his.expect("chatstate").await;
    assert_eq!(
        (attr(&told, "from"), attr(&told, "participant")),
        (group, format!("{lid}@lid"))
    );
    assert!(told.get_optional_child("composing").is_some());
}
