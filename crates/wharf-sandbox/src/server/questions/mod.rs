//! Answers to `<iq>` (protocol brief, section 7). A question that is not imitated gets an error and is counted, never
//! an empty yes: a client that passes here must not pass because nobody understood it.

mod app_state;
mod groups;
mod keys;
mod media;
mod mex;
mod picture;
mod settings;
mod usync;

use wacore_binary::{Node, NodeRef};

use super::{Client, Reply, Then, dirty, removal};
use crate::wire::node::{refusal, result, text_attr};

/// A question with its parts at hand.
struct Question<'q> {
    id: String,
    kind: String,
    xmlns: String,
    /// The first child, which says what is asked.
    child: Option<&'q NodeRef<'q>>,
    node: &'q NodeRef<'q>,
}

impl Question<'_> {
    fn is(&self, kind: &str, child: &str) -> bool {
        self.kind == kind && self.child_tag() == child
    }

    fn child_tag(&self) -> &str {
        self.child.map_or("", |child| &*child.tag)
    }

    fn done(&self) -> Reply {
        Reply::answer(result(&self.id).build())
    }

    fn found(&self, child: Node) -> Reply {
        Reply::answer(result(&self.id).children([child]).build())
    }

    fn refuse(&self, code: u16, text: &'static str) -> Reply {
        Reply::answer(refusal(&self.id, code, text))
    }
}

pub(super) fn answer(client: &Client, node: &NodeRef<'_>) -> Reply {
    let (Some(id), Some(kind)) = (text_attr(node, "id"), text_attr(node, "type")) else {
        return Reply::nothing();
    };
    if kind != "get" && kind != "set" {
        // The server asks a linked client nothing, so there is no answer to wait for.
        return Reply::nothing();
    }
    let child = node.children().and_then(<[_]>::first);
    let question = Question {
        id,
        kind,
        xmlns: text_attr(node, "xmlns").unwrap_or_default(),
        child,
        node,
    };
    route(client, &question).unwrap_or_else(|| not_imitated(client, &question))
}

/// `None` when the question is not imitated.
fn route(client: &Client, question: &Question<'_>) -> Option<Reply> {
    match question.xmlns.as_str() {
        "w:p" if question.kind == "get" => Some(question.done()),
        "passive" => passive(question),
        "encrypt" => keys::answer(client, question),
        "usync" => usync::answer(client, question),
        "w:sync:app:state" => app_state::answer(client, question),
        // The second is how older clients ask.
        "abt" | "w" => settings::props(client, question),
        "blocklist" => settings::blocklist(client, question),
        "privacy" => settings::privacy(client, question),
        "status" => settings::about(client, question),
        "disappearing_mode" => settings::disappearing_mode(client, question),
        "md" => linked_devices(client, question),
        "w:g2" => groups::answer(client, question),
        "w:m" => media::answer(client, question),
        "w:mex" => mex::answer(client, question),
        "w:profile:picture" => picture::answer(client, question),
        // Statistics and "I have seen it" want a receipt, nothing is asked.
        "w:stats" if question.kind == "set" => Some(question.done()),
        "urn:xmpp:whatsapp:dirty" => clean(client, question),
        _ => None,
    }
}

fn not_imitated(client: &Client, question: &Question<'_>) -> Reply {
    client
        .network
        .unhandled
        .count(format!("{} {}/{}", question.kind, question.xmlns, question.child_tag()));
    question.refuse(501, "feature-not-implemented")
}

fn passive(question: &Question<'_>) -> Option<Reply> {
    match question.child_tag() {
        "active" => Some(Reply {
            then: Then::Activate,
            ..question.done()
        }),
        "passive" => Some(question.done()),
        _ => None,
    }
}

/// What was marked as old is fetched. Without a time everything of the kind is meant.
fn clean(client: &Client, question: &Question<'_>) -> Option<Reply> {
    let child = question.child.filter(|_| question.is("set", "clean"))?;
    let up_to = text_attr(child, "timestamp").and_then(|at| at.parse().ok());
    let kind = text_attr(child, "type").unwrap_or_default();
    Some(Reply {
        after: dirty::clean(client, &kind, up_to.unwrap_or(u64::MAX)),
        ..question.done()
    })
}

/// A companion removes itself, or another one of its account.
fn linked_devices(client: &Client, question: &Question<'_>) -> Option<Reply> {
    if !question.is("set", "remove-companion-device") {
        return None;
    }
    let jid = question
        .child
        .and_then(|child| crate::wire::node::jid_attr(child, "jid"));
    let device = jid.map_or(client.device, |jid| jid.device);
    match removal::unlink(&client.network, &client.account, device) {
        Some(after) => Some(Reply {
            after,
            ..question.done()
        }),
        None => Some(question.refuse(404, "item-not-found")),
    }
}
