//! Groups: made, joined, changed, written to.

use serde_json::json;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use wharf_sandbox::{
    GroupChange, MessageStatus, NewGroup, NewPhone, Sandbox, SandboxConfig, SandboxError, StoreConfig,
};

use crate::companion::Companion;
use crate::http::call;
use crate::raw_client::*;

async fn phones(sandbox: &Sandbox, count: usize) -> Vec<String> {
    let mut phones = Vec::new();
    for _ in 0..count {
        phones.push(sandbox.create_phone(NewPhone::default()).await.unwrap().phone);
    }
    phones
}

async fn group_of(sandbox: &Sandbox, phones: &[String]) -> String {
    let new = NewGroup {
        subject: "Supper".to_owned(),
        members: phones[1..].to_vec(),
    };
    sandbox.create_group(&phones[0], new).await.unwrap().group
}

async fn ask(client: &mut RawClient, kind: &'static str, to: &str, child: Node) -> Node {
    let to: Jid = if to.is_empty() {
        Jid::new("", Server::Group)
    } else {
        to.parse().unwrap()
    };
    let question = NodeBuilder::new("iq")
        .attr("id", "group")
        .attr("type", kind)
        .attr("xmlns", "w:g2")
        .attr("to", to)
        .children([child]);
    client.send(&question.build()).await;
    loop {
        let answer = client.expect("iq").await;
        if attr(&answer, "id") == "group" {
            return answer;
        }
    }
}

fn leaf(tag: &'static str) -> Node {
    NodeBuilder::new(tag).build()
}

fn child<'n>(node: &'n Node, tag: &str) -> &'n Node {
    node.get_optional_child(tag)
        .unwrap_or_else(|| panic!("no <{tag}> in {node:?}"))
}

fn has(node: &Node, tag: &str) -> bool {
    node.get_optional_child(tag).is_some()
}

fn code(answer: &Node) -> String {
    attr(child(answer, "error"), "code")
}

/// What happened to a group, from a client's queue.
async fn notice(client: &mut RawClient) -> Node {
    loop {
        let notice = client.expect("notification").await;
        if attr(&notice, "type") == "w:gp2" {
            return notice;
        }
    }
}

fn participants(tag: &'static str, phones: &[&String]) -> Node {
    let nodes = phones.iter().map(|phone| {
        NodeBuilder::new("participant")
            .attr("jid", Jid::pn(phone.as_str()))
            .build()
    });
    NodeBuilder::new(tag).children(nodes).build()
}

async fn metadata(client: &mut RawClient, group: &str) -> Node {
    let query = NodeBuilder::new("query").attr("request", "interactive").build();
    child(&ask(client, "get", group, query).await, "group").clone()
}

#[tokio::test]
async fn a_client_makes_a_group_and_everybody_else_hears_of_it() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let all = phones(&sandbox, 2).await;
    let mut hers = Companion::linked(&sandbox, &all[0]).await.client;
    let mut his = Companion::linked(&sandbox, &all[1]).await.client;
    let unknown = "15550999999".to_owned();
    let mut create = participants("create", &[&all[1], &unknown]);
    create.attrs.insert("subject", "Supper");
    let answer = ask(&mut hers, "set", "", create).await;
    let made = child(&answer, "group");
    assert_eq!(
        (attr(made, "subject"), attr(made, "size")),
        ("Supper".into(), "2".into())
    );
    let members: Vec<_> = made.get_children_by_tag("participant").collect();
    let lid = sandbox.phone(&all[0]).await.unwrap().info.lid;
    let own = members.iter().find(|node| attr(node, "type") == "superadmin").unwrap();
    assert_eq!(attr(own, "jid"), format!("{lid}@lid"));
    assert_eq!(attr(own, "phone_number"), Jid::pn(&all[0]).to_string());
    assert!(members.iter().any(|node| attr(node, "error") == "404"));

    let told = notice(&mut his).await;
    let group = attr(&told, "from");
    assert_eq!(group, format!("{}@g.us", attr(made, "id")));
    assert_eq!(attr(&told, "participant_pn"), Jid::pn(&all[0]).to_string());
    assert_eq!(attr(child(child(&told, "create"), "group"), "subject"), "Supper");

    let answer = ask(&mut his, "get", "", leaf("participating")).await;
    assert_eq!(child(&answer, "groups").get_children_by_tag("group").count(), 1);
    let stranger = phones(&sandbox, 1).await;
    let mut stranger = Companion::linked(&sandbox, &stranger[0]).await.client;
    assert_eq!(code(&ask(&mut stranger, "get", &group, leaf("query")).await), "403");
    assert_eq!(
        code(&ask(&mut stranger, "get", "1203@g.us", leaf("query")).await),
        "404"
    );
    assert!(sandbox.unhandled().await.is_empty());
}

#[tokio::test]
async fn only_admins_change_members_and_what_is_locked() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let all = phones(&sandbox, 4).await;
    let group = group_of(&sandbox, &all[..3]).await;
    let mut hers = Companion::linked(&sandbox, &all[0]).await.client;
    let mut his = Companion::linked(&sandbox, &all[1]).await.client;
    let add = || participants("add", &[&all[3], &all[2]]);
    assert_eq!(code(&ask(&mut his, "set", &group, add()).await), "401");
    let answer = ask(&mut hers, "set", &group, add()).await;
    let outcomes: Vec<_> = child(&answer, "add").get_children_by_tag("participant").collect();
    assert_eq!(
        (attr(outcomes[0], "type"), attr(outcomes[1], "error")),
        ("200".into(), "409".into())
    );
    let told = notice(&mut his).await;
    assert_eq!(child(&told, "add").get_children_by_tag("participant").count(), 1);

    ask(&mut hers, "set", &group, participants("promote", &[&all[1]])).await;
    let admins = |node: &Node| {
        node.get_children_by_tag("participant")
            .filter(|one| attr(one, "type") == "admin")
            .count()
    };
    assert_eq!(admins(&metadata(&mut his, &group).await), 1);
    // The owner stays.
    let answer = ask(&mut his, "set", &group, participants("remove", &[&all[0]])).await;
    assert_eq!(attr(child(child(&answer, "remove"), "participant"), "error"), "403");
    ask(&mut hers, "set", &group, participants("demote", &[&all[1]])).await;
    assert_eq!(admins(&metadata(&mut his, &group).await), 0);

    let subject = || NodeBuilder::new("subject").bytes(b"Dinner".to_vec()).build();
    assert_eq!(attr(&ask(&mut his, "set", &group, subject()).await, "type"), "result");
    assert_eq!(code(&ask(&mut his, "set", &group, leaf("locked")).await), "401");
    ask(&mut hers, "set", &group, leaf("locked")).await;
    assert_eq!(code(&ask(&mut his, "set", &group, subject()).await), "401");
    let seen = metadata(&mut his, &group).await;
    assert_eq!(attr(&seen, "subject"), "Dinner");
    assert!(has(&seen, "locked") && !has(&seen, "announcement") && !has(&seen, "ephemeral"));

    let body = NodeBuilder::new("body").bytes(b"at eight".to_vec()).build();
    let described = NodeBuilder::new("description")
        .attr("id", "D1")
        .children([body])
        .build();
    ask(&mut hers, "set", &group, described).await;
    let ephemeral = NodeBuilder::new("ephemeral").attr("expiration", "86400").build();
    ask(&mut hers, "set", &group, ephemeral).await;
    let seen = metadata(&mut his, &group).await;
    assert_eq!(bytes_of(child(child(&seen, "description"), "body")), b"at eight");
    assert_eq!(attr(child(&seen, "ephemeral"), "expiration"), "86400");
    ask(&mut hers, "set", &group, leaf("not_ephemeral")).await;
    ask(
        &mut hers,
        "set",
        &group,
        NodeBuilder::new("description").attr("delete", "true").build(),
    )
    .await;
    let seen = metadata(&mut his, &group).await;
    assert!(!has(&seen, "ephemeral") && !has(&seen, "description"));
    let answer = ask(&mut hers, "set", &group, NodeBuilder::new("subject").build()).await;
    assert_eq!(code(&answer), "406");
    let hologram = ask(&mut hers, "set", &group, leaf("hologram")).await;
    assert_eq!(code(&hologram), "501");
    assert_eq!(sandbox.unhandled().await.len(), 1);
}

#[tokio::test]
async fn people_join_by_the_link_and_wait_where_they_have_to_be_let_in() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let all = phones(&sandbox, 4).await;
    let group = group_of(&sandbox, &all[..1]).await;
    let mut hers = Companion::linked(&sandbox, &all[0]).await.client;
    let mut his = Companion::linked(&sandbox, &all[1]).await.client;
    let first = attr(
        child(&ask(&mut hers, "get", &group, leaf("invite")).await, "invite"),
        "code",
    );
    let second = attr(
        child(&ask(&mut hers, "set", &group, leaf("invite")).await, "invite"),
        "code",
    );
    let follow = |code: &str| NodeBuilder::new("invite").attr("code", code).build();
    assert_eq!(code(&ask(&mut his, "set", "", follow(&first)).await), "404");
    let seen = ask(&mut his, "get", "", follow(&second)).await;
    assert_eq!(attr(child(&seen, "group"), "subject"), "Supper");
    let joined = ask(&mut his, "set", "", follow(&second)).await;
    assert_eq!(attr(child(&joined, "group"), "jid"), group);

    let join = NodeBuilder::new("group_join").attr("state", "on").build();
    let approval = NodeBuilder::new("membership_approval_mode").children([join]).build();
    ask(&mut hers, "set", &group, approval).await;
    for phone in &all[2..] {
        sandbox.join_group(phone, &second).await.unwrap();
    }
    let asked = loop {
        let told = notice(&mut hers).await;
        if has(&told, "created_membership_requests") {
            break told;
        }
    };
    assert_eq!(attr(&asked, "participant_pn"), Jid::pn(&all[2]).to_string());
    let waiting = ask(&mut hers, "get", &group, leaf("membership_approval_requests")).await;
    let waiting = child(&waiting, "membership_approval_requests");
    assert_eq!(waiting.get_children_by_tag("membership_approval_request").count(), 2);
    for (action, phone) in [("approve", &all[2]), ("reject", &all[3])] {
        let decision = NodeBuilder::new("membership_requests_action");
        let decision = decision.children([participants(action, &[phone])]).build();
        let answer = ask(&mut hers, "set", &group, decision).await;
        let outcome = child(
            child(child(&answer, "membership_requests_action"), action),
            "participant",
        );
        assert_eq!(attr(outcome, "type"), "200");
    }
    let info = sandbox.group(&group).unwrap();
    assert!(info.requests.is_empty());
    let members: Vec<_> = info.members.iter().map(|member| &member.phone).collect();
    assert_eq!(members, [&all[0], &all[1], &all[2]]);

    let groups = NodeBuilder::new("group").attr("id", group.as_str()).build();
    let leave = NodeBuilder::new("leave").children([groups]).build();
    assert!(has(&ask(&mut his, "set", "", leave).await, "leave"));
    assert_eq!(code(&ask(&mut his, "get", &group, leaf("query")).await), "403");
}

/// A message that nobody can read: to the server all are.
fn sealed(group: &str, id: &str, keys: &[Jid]) -> NodeBuilder {
    let enc = |kind: &'static str, bytes: &[u8]| {
        NodeBuilder::new("enc")
            .attr("v", "2")
            .attr("type", kind)
            .bytes(bytes.to_vec())
            .build()
    };
    let copies = keys.iter().map(|jid| {
        let copy = NodeBuilder::new("to").attr("jid", jid);
        copy.children([enc("msg", b"key")]).build()
    });
    NodeBuilder::new("message")
        .attr("to", group.parse::<Jid>().unwrap())
        .attr("id", id)
        .attr("type", "text")
        .children([
            NodeBuilder::new("participants").children(copies).build(),
            enc("skmsg", b"text"),
        ])
}

async fn acknowledged(client: &mut RawClient, id: &str) -> Node {
    loop {
        let ack = client.expect("ack").await;
        if attr(&ack, "id") == id {
            return ack;
        }
    }
}

async fn message(client: &mut RawClient, id: &str) -> Node {
    loop {
        let message = client.expect("message").await;
        if attr(&message, "id") == id {
            return message;
        }
    }
}

#[tokio::test]
async fn a_message_reaches_every_device_of_every_member_and_nobody_else() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let all = phones(&sandbox, 3).await;
    let group = group_of(&sandbox, &all).await;
    let mut hers = Companion::linked(&sandbox, &all[0]).await;
    let mut other = Companion::linked(&sandbox, &all[0]).await.client;
    let his = Companion::linked(&sandbox, &all[1]).await;
    let mut third = Companion::linked(&sandbox, &all[2]).await.client;
    let lid = sandbox.phone(&all[1]).await.unwrap().info.lid;
    let his_device = Jid::lid(lid.as_str()).with_device(his.device);
    let mut his = his.client;

    hers.client
        .send(&sealed(&group, "ONE", std::slice::from_ref(&his_device)).build())
        .await;
    let ack = acknowledged(&mut hers.client, "ONE").await;
    assert!(attr(&ack, "error").is_empty() && attr(&ack, "phash").is_empty());
    let got = message(&mut his, "ONE").await;
    assert_eq!(
        (attr(&got, "from"), attr(&got, "addressing_mode")),
        (group.clone(), "lid".into())
    );
    assert_eq!(
        attr(&got, "participant_pn"),
        Jid::pn(&all[0]).with_device(hers.device).to_string()
    );
    let kinds: Vec<_> = got.get_children_by_tag("enc").map(|enc| attr(enc, "type")).collect();
    assert_eq!(kinds, ["msg", "skmsg"]);
    for client in [&mut other, &mut third] {
        let got = message(client, "ONE").await;
        assert_eq!(got.get_children_by_tag("enc").count(), 1);
    }

    // A receipt goes to the author's devices, under the reader's name.
    let receipt = NodeBuilder::new("receipt")
        .attr("to", group.parse::<Jid>().unwrap())
        .attr("participant", attr(&got, "participant").parse::<Jid>().unwrap())
        .attr("id", "ONE")
        .attr("type", "read");
    his.send(&receipt.build()).await;
    let read = loop {
        let receipt = hers.client.expect("receipt").await;
        if attr(&receipt, "type") == "read" {
            break receipt;
        }
    };
    assert_eq!(
        (attr(&read, "from"), attr(&read, "participant")),
        (group.clone(), format!("{lid}@lid"))
    );

    let wrong = sealed(&group, "TWO", &[]).attr("phash", "2:other").build();
    hers.client.send(&wrong).await;
    assert!(attr(&acknowledged(&mut hers.client, "TWO").await, "phash").starts_with("2:"));

    // Sent again to one device: nobody else gets it.
    let again = NodeBuilder::new("message")
        .attr("to", group.parse::<Jid>().unwrap())
        .attr("participant", &his_device)
        .attr("id", "AGAIN")
        .attr("type", "text")
        .children([NodeBuilder::new("enc").attr("type", "msg").bytes(b"x".to_vec()).build()]);
    hers.client.send(&again.build()).await;
    assert_eq!(attr(&message(&mut his, "AGAIN").await, "from"), group);

    sandbox
        .change_group(&all[0], &group, GroupChange::Remove, &all[2..])
        .await
        .unwrap();
    ask(&mut hers.client, "set", &group, leaf("announcement")).await;
    his.send(&sealed(&group, "SILENCED", &[]).build()).await;
    assert_eq!(attr(&acknowledged(&mut his, "SILENCED").await, "error"), "403");
    third.send(&sealed(&group, "OUTSIDE", &[]).build()).await;
    assert_eq!(attr(&acknowledged(&mut third, "OUTSIDE").await, "error"), "403");
    hers.client.send(&sealed(&group, "LAST", &[]).build()).await;
    message(&mut his, "LAST").await;
    sandbox.send_text(&all[0], &all[2], "alone").await.unwrap();
    let next = third.expect("message").await;
    // The third saw TWO while a member; neither AGAIN nor LAST came.
    let next = if attr(&next, "id") == "TWO" {
        third.expect("message").await
    } else {
        next
    };
    assert_eq!(attr(&next, "from"), Jid::pn(&all[0]).to_string());
}

async fn sandbox_in(folder: &std::path::Path) -> Sandbox {
    let config = SandboxConfig {
        store: StoreConfig::File(folder.join("sandbox.db")),
        ..SandboxConfig::default()
    };
    Sandbox::start(config).await.unwrap()
}

#[tokio::test]
async fn phones_write_to_a_group_read_it_and_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox_in(folder.path()).await;
    let all = phones(&sandbox, 3).await;
    let group = group_of(&sandbox, &all).await;
    let shown = async |sandbox: &Sandbox, phone: &str, text: &'static str| {
        let shows = move |message: &wharf_sandbox::Message| message.text == text;
        sandbox.wait_for_message(phone, shows, PATIENCE).await.unwrap()
    };
    for (author, text) in [(0, "one"), (1, "two"), (0, "three")] {
        sandbox.send_text(&all[author], &group, text).await.unwrap();
        for phone in &all {
            assert_eq!(shown(&sandbox, phone, text).await.from, all[author]);
        }
    }
    let chats = sandbox.chats(&all[2]).await.unwrap();
    assert_eq!(
        (&*chats[0].chat, &*chats[0].name, chats[0].messages.len()),
        (&*group, "Supper", 3)
    );
    let is = |status| move |message: &wharf_sandbox::Message| message.text == "one" && message.status == status;
    sandbox
        .wait_for_message(&all[0], is(MessageStatus::Delivered), PATIENCE)
        .await
        .unwrap();
    sandbox.mark_read(&all[2], &group).await.unwrap();
    sandbox
        .wait_for_message(&all[0], is(MessageStatus::Read), PATIENCE)
        .await
        .unwrap();

    sandbox
        .change_group(&all[0], &group, GroupChange::Remove, &all[2..])
        .await
        .unwrap();
    sandbox.stop().await;
    let sandbox = sandbox_in(folder.path()).await;
    for (author, text) in [(0, "four"), (1, "five")] {
        sandbox.send_text(&all[author], &group, text).await.unwrap();
        shown(&sandbox, &all[1 - author], text).await;
    }
    assert_eq!(sandbox.chats(&all[2]).await.unwrap()[0].messages.len(), 3);
    let refused = sandbox.send_text(&all[2], &group, "six").await;
    assert!(matches!(refused, Err(SandboxError::NotAllowed(_))));
}

/// A phone that has no key for what it gets asks the author, by the group.
#[tokio::test]
async fn a_phone_asks_again_for_what_it_has_no_key_for() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let all = phones(&sandbox, 2).await;
    let group = group_of(&sandbox, &all).await;
    let mut hers = Companion::linked(&sandbox, &all[0]).await.client;
    hers.send(&sealed(&group, "SECRET", &[]).build()).await;
    let lid = sandbox.phone(&all[1]).await.unwrap().info.lid;
    let asked = loop {
        let receipt = hers.expect("receipt").await;
        if attr(&receipt, "participant") == format!("{lid}@lid") {
            break receipt;
        }
    };
    assert_eq!((attr(&asked, "type"), attr(&asked, "from")), ("retry".into(), group));
    assert!(has(&asked, "retry") && has(&asked, "registration"));
}

/// And answers a member that could not read what it wrote itself.
#[tokio::test]
async fn a_phone_writes_again_to_the_one_device_that_asks() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let all = phones(&sandbox, 2).await;
    let group = group_of(&sandbox, &all).await;
    let mut his = Companion::linked(&sandbox, &all[1]).await.client;
    let id = sandbox.send_text(&all[0], &group, "hello").await.unwrap();
    let got = message(&mut his, &id).await;
    let retry = NodeBuilder::new("retry")
        .attr("count", "1")
        .attr("id", id.as_str())
        .build();
    let receipt = NodeBuilder::new("receipt")
        .attr("to", group.parse::<Jid>().unwrap())
        .attr("participant", attr(&got, "participant").parse::<Jid>().unwrap())
        .attr("id", id.as_str())
        .attr("type", "retry")
        .children([retry]);
    his.send(&receipt.build()).await;
    let again = message(&mut his, &id).await;
    assert_eq!(
        (attr(&again, "from"), attr(&again, "participant")),
        (group, attr(&got, "participant"))
    );
    let sealed: Vec<_> = again.get_children_by_tag("enc").collect();
    assert_eq!(
        (sealed.len(), attr(sealed[0], "type"), attr(sealed[0], "count")),
        (1, "pkmsg".into(), "1".into())
    );
}

#[tokio::test]
async fn groups_are_driven_over_http() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let all = phones(&sandbox, 3).await;
    let base = sandbox.control_url().unwrap();
    let post = async |path: String, body| call(&base, "POST", &path, Some(body)).await;
    let made = post(
        "/sandbox/api/groups".to_owned(),
        json!({"phone": all[0], "subject": "Supper", "members": [all[1]]}),
    )
    .await;
    assert_eq!(made.status, 201);
    let path = format!("/sandbox/api/groups/{}", made.body["group"].as_str().unwrap());
    let code = made.body["invite"].as_str().unwrap();
    let joined = post(format!("/sandbox/api/phones/{}/join", all[2]), json!({"code": code})).await;
    assert_eq!(
        (joined.status, joined.body["members"].as_array().unwrap().len()),
        (200, 3)
    );
    let change = json!({"phone": all[0], "change": "promote", "members": [all[1]]});
    let changed = post(format!("{path}/members"), change).await;
    assert_eq!(changed.body["members"][1]["admin"], true);
    let not_his = json!({"phone": all[2], "change": "remove", "members": [all[1]]});
    let refused = post(format!("{path}/members"), not_his).await;
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("not_allowed")));
    assert_eq!(
        post(format!("{path}/leave"), json!({"phone": all[2]})).await.status,
        200
    );
    let listed = call(&base, "GET", "/sandbox/api/groups", None).await;
    assert_eq!(listed.body["data"][0]["members"].as_array().unwrap().len(), 2);
    let unknown = call(&base, "GET", "/sandbox/api/groups/1@g.us", None).await;
    assert_eq!((unknown.status, &unknown.body["code"]), (404, &json!("unknown_group")));
    let send = format!("/sandbox/api/phones/{}/send", all[0]);
    let sent = post(send, json!({"to": made.body["group"], "text": "hi"})).await;
    assert_eq!(sent.status, 202);
}
