//! Texts that the engine's encoder takes for addresses. It writes every short string with an `@` in it as a JID, and what has
//! no known server behind the `@` nobody can read then: the subject of a group may be such a text, or the name of a person.
//! Real servers write texts as texts.

use std::borrow::Cow;

use wacore_binary::node::{NodeContent, NodeValue};
use wacore_binary::{Jid, Node};

/// Longer strings are never taken for addresses.
const LONGEST_MISTAKEN: usize = 48;
/// Stands for the `@` until the text is written.
const STAND_IN: &str = "\u{1}";
/// What begins a text of up to 255 bytes; its length follows.
const TEXT: u8 = 252;

/// Writes a node, texts as texts. O(size); nodes without such texts are written as they are.
pub(super) fn marshal(node: &Node) -> wacore_binary::Result<Vec<u8>> {
    let mut hidden = Vec::new();
    match disguised(node, &mut hidden) {
        Cow::Borrowed(node) => wacore_binary::marshal(node),
        Cow::Owned(node) => {
            let mut bytes = wacore_binary::marshal(&node)?;
            hidden.iter().for_each(|text| reveal(&mut bytes, text));
            Ok(bytes)
        }
    }
}

/// Whether the encoder would make something of the text that does not come back as the text.
fn is_mistaken(text: &str) -> bool {
    if text.len() > LONGEST_MISTAKEN || !text.contains('@') {
        return false;
    }
    let same = |jid: Jid| !jid.user.contains('_') && jid.to_string() == text;
    !text.parse().is_ok_and(same)
}

/// The node with the stand-in wherever its name or an attribute is such a text; contents become bytes, which are never
/// mistaken. Names are whatever a client chose to send.
fn disguised<'n>(node: &'n Node, hidden: &mut Vec<String>) -> Cow<'n, Node> {
    let mut changed = Cow::Borrowed(node);
    if let Some(tag) = disguise(&node.tag, hidden) {
        changed.to_mut().tag = tag.into();
    }
    for (place, (name, value)) in node.attrs.iter().enumerate() {
        if let Some(name) = disguise(name, hidden) {
            changed.to_mut().attrs.0[place].0 = name.into();
        }
        if let NodeValue::String(text) = value
            && let Some(text) = disguise(text, hidden)
        {
            changed.to_mut().attrs.0[place].1 = text.into();
        }
    }
    match &node.content {
        Some(NodeContent::String(text)) if is_mistaken(text) => {
            changed.to_mut().content = Some(NodeContent::Bytes(text.as_bytes().to_vec()));
        }
        Some(NodeContent::Nodes(children)) => {
            let children: Vec<Cow<'_, Node>> = children.iter().map(|child| disguised(child, hidden)).collect();
            if children.iter().any(|child| matches!(child, Cow::Owned(_))) {
                let children = children.into_iter().map(Cow::into_owned).collect();
                changed.to_mut().content = Some(NodeContent::Nodes(children));
            }
        }
        _ => {}
    }
    changed
}

fn disguise(text: &str, hidden: &mut Vec<String>) -> Option<String> {
    is_mistaken(text).then(|| {
        hidden.push(text.to_owned());
        text.replace('@', STAND_IN)
    })
}

/// Puts the text back where its disguise was written, which is as long.
fn reveal(bytes: &mut [u8], text: &str) {
    let disguise = text.replace('@', STAND_IN);
    let Ok(length) = u8::try_from(text.len()) else { return };
    let written = [&[TEXT, length], disguise.as_bytes()].concat();
    let mut start = 0;
    while let Some(place) = bytes[start..]
        .windows(written.len())
        .position(|window| window == written)
    {
        let end = start + place + written.len();
        bytes[end - text.len()..end].copy_from_slice(text.as_bytes());
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use wacore_binary::builder::NodeBuilder;

    use super::super::node::decode;
    use super::*;

    fn there_and_back(node: &Node) -> Node {
        decode(&marshal(node).unwrap()).unwrap().to_owned_node()
    }

    #[test]
    fn people_may_write_what_looks_like_an_address() {
        for text in ["Meet @ 5", "@", "ann@home", "a_5@s.whatsapp.net", "x:1@y", "@@", "é@ü"] {
            let body = NodeBuilder::new("body").string_content(text).build();
            let node = NodeBuilder::new("group")
                .attr("subject", text)
                .attr("creator", Jid::pn("15550100001"))
                .children([body])
                .build();
            let read = there_and_back(&node);
            assert_eq!(read.attrs.get("subject").unwrap().as_str(), text);
            assert_eq!(
                read.attrs.get("creator").unwrap().as_str(),
                "15550100001@s.whatsapp.net"
            );
            let body = read.get_optional_child("body").unwrap();
            let said = match &body.content {
                Some(NodeContent::Bytes(bytes)) => String::from_utf8(bytes.clone()).unwrap(),
                Some(NodeContent::String(text)) => text.to_string(),
                other => panic!("{other:?}"),
            };
            assert_eq!(said, text);
        }
    }

    #[test]
    fn clients_may_give_names_that_look_like_addresses() {
        let child = NodeBuilder::new("1@").attr("2@", "3@").build();
        let node = NodeBuilder::new("message").children([child]).build();
        let read = there_and_back(&node);
        let child = read.get_optional_child("1@").unwrap();
        assert_eq!(child.attrs.get("2@").unwrap().as_str(), "3@");
    }

    #[test]
    fn addresses_are_written_as_ever() {
        for address in [
            "15550100001@s.whatsapp.net",
            "1:2@lid",
            "120363000000000001@g.us",
            "status@broadcast",
        ] {
            let node = NodeBuilder::new("ack").attr("from", address).build();
            assert_eq!(
                marshal(&node).unwrap(),
                wacore_binary::marshal(&node).unwrap(),
                "{address}"
            );
        }
    }
}
