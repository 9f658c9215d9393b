//! Profile pictures: bytes that an account shows of itself. They are fetched by HTTP on the clients' port.

use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::Question;
use crate::network::account::{Account, Picture};
use crate::network::{contacts, records};
use crate::server::{Client, Reply, notifications, strangers};
use crate::store::Kind;
use crate::wire::node::{content_bytes, error, jid_attr, text_attr};

/// Official clients send some 100 KB.
const MAX_PICTURE: usize = 1024 * 1024;

pub(super) fn answer(client: &Client, question: &Question<'_>) -> Option<Reply> {
    match question.kind.as_str() {
        "get" => Some(show(client, question)),
        // A target is a group's picture.
        "set" if jid_attr(question.node, "target").is_none() => Some(change(client, question)),
        _ => None,
    }
}

fn show(client: &Client, question: &Question<'_>) -> Reply {
    let target = jid_attr(question.node, "target").or_else(|| jid_attr(question.node, "to"));
    let account = target.and_then(|jid| client.network.directory.by_jid(&jid));
    let tokens = question.child.map(strangers::shown).unwrap_or_default();
    if let Some(account) = &account
        && !contacts::lets_through(account, &client.account, &tokens)
    {
        let hidden = NodeBuilder::new("picture").children([error(401, "not-authorized")]);
        return question.found(hidden.build());
    }
    let picture = account.and_then(|account| {
        let id = {
            let state = account.state();
            let hidden = state.hides("profile") && account.number != client.account.number;
            state.picture.as_ref().filter(|_| !hidden)?.id.clone()
        };
        Some((account, id))
    });
    let Some((account, id)) = picture else {
        return question.refuse(404, "item-not-found");
    };
    let kind = question.child.and_then(|child| text_attr(child, "type"));
    let url = client.network.picture_url(&account.number, &id);
    let found = NodeBuilder::new("picture")
        .attr("id", id)
        .attr("type", kind.unwrap_or_else(|| "image".to_owned()))
        .attr("url", url);
    question.found(found.build())
}

fn change(client: &Client, question: &Question<'_>) -> Reply {
    let bytes = question.child.and_then(bytes_of).unwrap_or_default();
    if bytes.len() > MAX_PICTURE {
        return question.refuse(406, "not-acceptable");
    }
    let picture = (!bytes.is_empty()).then(|| Picture {
        id: client.network.picture_id(&client.account.number),
        bytes: bytes.into(),
    });
    let id = picture.as_ref().map(|picture| picture.id.clone());
    let after = keep(client, &client.account, picture);
    notifications::picture_changed(&client.network, &client.account, client.device, id.as_deref());
    let reply = match id {
        Some(id) => question.found(NodeBuilder::new("picture").attr("id", id).build()),
        None => question.done(),
    };
    Reply { after, ..reply }
}

fn bytes_of(picture: &NodeRef<'_>) -> Option<Vec<u8>> {
    (picture.tag == "picture").then(|| content_bytes(picture)).flatten()
}

fn keep(client: &Client, account: &Account, picture: Option<Picture>) -> crate::store::Ticket {
    let mut state = account.state();
    let mut batch = client.network.store.batch();
    match &picture {
        Some(picture) => batch.put(
            Kind::Picture,
            || account.number.clone(),
            || records::encode_picture(picture),
        ),
        None => batch.delete(Kind::Picture, || account.number.clone()),
    }
    state.picture = picture;
    client.network.store.submit(batch)
}
