//! Profile pictures.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, Server};
use wharf_sandbox::{NewPhone, Sandbox};

use crate::http::{bytes, text};
use crate::linking::sandbox_with_phone;
use crate::raw_client::*;

/// No picture, and nobody's affair: clients check what they send and show.
const BYTES: &[u8] = b"\xff\xd8pic\xff";

async fn companion(sandbox: &Sandbox, phone: &str) -> RawClient {
    let (keys, device) = link(sandbox, phone).await;
    let mut client = log_in(sandbox, &keys, phone, device).await;
    activate(&mut client).await;
    client
}

/// Sets or removes the picture; the answer, and the notice that comes with it.
async fn set(client: &mut RawClient, bytes: Option<&[u8]>) -> (Node, Node) {
    let picture = bytes.map(|bytes| {
        let picture = NodeBuilder::new("picture").attr("type", "image");
        picture.bytes(bytes.to_vec()).build()
    });
    let question = NodeBuilder::new("iq")
        .attr("id", "change")
        .attr("type", "set")
        .attr("xmlns", "w:profile:picture")
        .attr("to", Jid::new("", Server::Pn))
        .children(picture);
    client.send(&question.build()).await;
    let (mut answer, mut notice) = (None, None);
    while answer.is_none() || notice.is_none() {
        let node = client.node().await.unwrap();
        if attr(&node, "id") == "change" {
            answer = Some(node);
        } else if node.tag == "notification" && attr(&node, "type") == "picture" {
            notice = Some(node);
        }
    }
    (answer.unwrap(), notice.unwrap())
}

async fn ask(client: &mut RawClient, of: &str) -> Node {
    let picture = NodeBuilder::new("picture").attr("type", "preview").attr("query", "url");
    let question = NodeBuilder::new("iq")
        .attr("id", "picture")
        .attr("type", "get")
        .attr("xmlns", "w:profile:picture")
        .attr("to", Jid::new("", Server::Pn))
        .attr("target", Jid::pn(of))
        .children([picture.build()]);
    client.send(&question.build()).await;
    loop {
        let answer = client.expect("iq").await;
        if attr(&answer, "id") == "picture" {
            return answer;
        }
    }
}

fn id_of(answer: &Node) -> String {
    attr(answer.get_optional_child("picture").unwrap(), "id")
}

#[tokio::test]
async fn a_picture_is_set_seen_replaced_and_removed() {
    let (sandbox, alice) = sandbox_with_phone().await;
    let bob = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let (mut hers, mut his) = (companion(&sandbox, &alice).await, companion(&sandbox, &bob).await);
    assert_eq!(attr(&ask(&mut his, &alice).await, "type"), "error");

    let (answer, notice) = set(&mut hers, Some(BYTES)).await;
    let first = id_of(&answer);
    assert_eq!(attr(notice.get_optional_child("set").unwrap(), "id"), first);
    let seen = ask(&mut his, &alice).await;
    assert_eq!(id_of(&seen), first);
    let picture = seen.get_optional_child("picture").unwrap();
    assert_eq!(attr(picture, "type"), "preview");
    let url = attr(picture, "url");
    let base = url.split("/pictures/").next().unwrap();
    let path = url.strip_prefix(base).unwrap();
    assert_eq!(bytes(base, path).await, BYTES);

    let second = id_of(&set(&mut hers, Some(b"another")).await.0);
    assert!(second != first && id_of(&ask(&mut his, &alice).await) == second);
    assert!(text(base, path).await.starts_with("HTTP/1.1 404"));

    let (answer, notice) = set(&mut hers, None).await;
    assert_eq!(attr(&answer, "type"), "result");
    assert!(notice.get_optional_child("delete").is_some());
    assert_eq!(attr(&ask(&mut his, &alice).await, "type"), "error");
}
