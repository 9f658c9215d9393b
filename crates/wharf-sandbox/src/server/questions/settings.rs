//! Settings of an account. What a setter stores, the getter returns.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::Question;
use crate::clock::unix_seconds;
use crate::server::{Client, Reply, notifications, strangers};
use crate::wire::node::{attr_is, children, content_bytes, jid_attr, refusal, text_attr};

/// The privacy of an account that never touched it.
const PRIVACY_DEFAULTS: [(&str, &str); 8] = [
    ("last", "all"),
    ("online", "all"),
    ("profile", "all"),
    ("status", "all"),
    ("readreceipts", "all"),
    ("groupadd", "all"),
    ("calladd", "all"),
    ("messages", "all"),
];
/// Entries one account may store, so that a client cannot fill the memory with settings.
const MAX_SETTINGS: usize = 10_000;
const MAX_ABOUT: usize = 1024;

/// The switches of experiments that the account is in.
pub(super) fn props(client: &Client, question: &Question<'_>) -> Option<Reply> {
    if !question.is("get", "props") {
        return None;
    }
    let experiments = client.account.state().rules.experiments.clone();
    let switches = experiments.into_iter().map(|(code, value)| {
        let switch = NodeBuilder::new("prop").attr("config_code", code);
        switch.attr("config_value", value).build()
    });
    let props = NodeBuilder::new("props")
        .attr("protocol", "1")
        .attr("ab_key", "sandbox")
        .attr("hash", "sandbox")
        .attr("refresh", "86400")
        .attr("refresh_id", "1")
        .children(switches);
    Some(question.found(props.build()))
}

pub(super) fn blocklist(client: &Client, question: &Question<'_>) -> Option<Reply> {
    match question.kind.as_str() {
        "get" => Some(question.found(blocked(client))),
        "set" => {
            let item = question.child.filter(|child| child.tag == "item")?;
            let jid = jid_attr(item, "jid")?.to_non_ad();
            let known = client.network.directory.by_jid(&jid)?;
            let key = format!("block/{}", known.lid);
            let stored = match text_attr(item, "action").as_deref() {
                Some("block") => store(client, &[(key, jid.to_string())]),
                Some("unblock") => remove(client, &key),
                _ => None,
            };
            Some(stored.map_or_else(
                || question.refuse(406, "not-acceptable"),
                |after| Reply {
                    after,
                    ..question.found(blocked(client))
                },
            ))
        }
        _ => None,
    }
}

fn blocked(client: &Client) -> Node {
    let entries = stored(client, "block/");
    let items = entries.iter().filter_map(|(_, jid)| {
        let jid: wacore_binary::Jid = jid.parse().ok()?;
        Some(NodeBuilder::new("item").attr("jid", jid).build())
    });
    NodeBuilder::new("list")
        .attr("dhash", format!("{}", entries.len()))
        .children(items)
        .build()
}

pub(super) fn privacy(client: &Client, question: &Question<'_>) -> Option<Reply> {
    match (question.kind.as_str(), question.child_tag()) {
        ("get", "privacy") => Some(question.found(categories(client))),
        ("set", "privacy") => {
            let updates = children(question.child?)
                .iter()
                .filter(|child| child.tag == "category")
                .filter_map(|category| {
                    Some((
                        format!("privacy/{}", text_attr(category, "name")?),
                        text_attr(category, "value")?,
                    ))
                });
            let updates: Vec<_> = updates.collect();
            Some(saved(client, question, &updates, categories))
        }
        ("set", "tokens") => give_tokens(client, question),
        _ => None,
    }
}

/// Tokens for people whom the account trusts; each is told to the one it is for. Of other kinds nothing is known.
fn give_tokens(client: &Client, question: &Question<'_>) -> Option<Reply> {
    let tokens = children(question.child?).iter().filter(|child| child.tag == "token");
    let mut after = 0;
    for token in tokens {
        if !attr_is(token, "type", "trusted_contact") {
            return None;
        }
        let taker = jid_attr(token, "jid").and_then(|jid| client.network.directory.by_jid(&jid));
        let at = text_attr(token, "t").and_then(|at| at.parse().ok());
        if let Some(taker) = taker {
            let at = at.unwrap_or_else(unix_seconds);
            after = after.max(strangers::give_token(&client.network, &client.account, &taker, at));
        }
    }
    Some(Reply {
        after,
        ..question.done()
    })
}

fn categories(client: &Client) -> Node {
    let set = stored(client, "privacy/");
    let value_of = |name: &str| set.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let defaults = PRIVACY_DEFAULTS
        .iter()
        .map(|&(name, value)| (name.to_owned(), value_of(name).unwrap_or_else(|| value.to_owned())));
    let others = set
        .iter()
        .filter(|(key, _)| PRIVACY_DEFAULTS.iter().all(|(name, _)| key != name))
        .cloned();
    let nodes = defaults.chain(others).map(|(name, value)| {
        NodeBuilder::new("category")
            .attr("name", name)
            .attr("value", value)
            .build()
    });
    NodeBuilder::new("privacy").children(nodes).build()
}

/// The about text. Getting it goes through usync.
pub(super) fn about(client: &Client, question: &Question<'_>) -> Option<Reply> {
    if !question.is("set", "status") {
        return None;
    }
    let text = question
        .child
        .and_then(content_bytes)
        .and_then(|bytes| String::from_utf8(bytes).ok())?;
    if text.len() > MAX_ABOUT {
        return Some(question.refuse(406, "not-acceptable"));
    }
    let after = {
        let mut state = client.account.state();
        state.about.clone_from(&text);
        let mut batch = client.network.store.batch();
        client.account.save(&state, &mut batch);
        client.network.store.submit(batch)
    };
    notifications::about_changed(&client.network, &client.account, &text);
    Some(Reply {
        after,
        ..question.done()
    })
}

pub(super) fn disappearing_mode(client: &Client, question: &Question<'_>) -> Option<Reply> {
    if question.kind == "get" {
        let duration = stored(client, "disappearing/")
            .first()
            .map_or_else(|| "0".to_owned(), |(_, value)| value.clone());
        return Some(question.found(NodeBuilder::new("disappearing_mode").attr("duration", duration).build()));
    }
    let child = question
        .child
        .filter(|child| child.tag == "disappearing_mode" && !attr_is(child, "duration", ""))?;
    let updates = [("disappearing/duration".to_owned(), text_attr(child, "duration")?)];
    let after = store(client, &updates);
    Some(after.map_or_else(
        || question.refuse(406, "not-acceptable"),
        |after| Reply {
            after,
            ..question.done()
        },
    ))
}

fn saved(client: &Client, question: &Question<'_>, updates: &[(String, String)], show: fn(&Client) -> Node) -> Reply {
    match store(client, updates) {
        Some(after) => Reply {
            after,
            ..question.found(show(client))
        },
        None => Reply::answer(refusal(&question.id, 406, "not-acceptable")),
    }
}

/// The settings below a prefix, without it.
fn stored(client: &Client, prefix: &str) -> Vec<(String, String)> {
    let state = client.account.state();
    let below = state
        .settings
        .range(prefix.to_owned()..)
        .take_while(|(key, _)| key.starts_with(prefix));
    below
        .map(|(key, value)| (key[prefix.len()..].to_owned(), value.clone()))
        .collect()
}

/// `None` when the account has too many settings already.
fn store(client: &Client, updates: &[(String, String)]) -> Option<crate::store::Ticket> {
    let mut state = client.account.state();
    if state.settings.len() + updates.len() > MAX_SETTINGS {
        return None;
    }
    state.settings.extend(updates.iter().cloned());
    let mut batch = client.network.store.batch();
    client.account.save(&state, &mut batch);
    Some(client.network.store.submit(batch))
}

fn remove(client: &Client, key: &str) -> Option<crate::store::Ticket> {
    let mut state = client.account.state();
    state.settings.remove(key);
    let mut batch = client.network.store.batch();
    client.account.save(&state, &mut batch);
    Some(client.network.store.submit(batch))
}
