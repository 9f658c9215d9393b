//! Reading attributes of nodes that may be anything, and the few shapes of answer every module needs.

use bytes::{Bytes, BytesMut};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Jid, Node, NodeRef, OwnedNodeRef, Server};

use super::text;

/// The server itself: a JID without a user.
pub(crate) fn server_jid() -> Jid {
    Jid::new("", Server::Pn)
}

pub(crate) fn text_attr(node: &NodeRef<'_>, name: &str) -> Option<String> {
    node.get_attr(name).map(|value| value.as_str().into_owned())
}

pub(crate) fn jid_attr(node: &NodeRef<'_>, name: &str) -> Option<Jid> {
    node.get_attr(name).and_then(wacore_binary::node::ValueRef::to_jid)
}

/// Whether an attribute has exactly this value.
pub(crate) fn attr_is(node: &NodeRef<'_>, name: &str, value: &str) -> bool {
    node.get_attr(name).is_some_and(|found| found.as_str() == value)
}

/// The bytes of a child, also when the decoder saw them as text.
pub(crate) fn child_bytes(node: &NodeRef<'_>, tag: &str) -> Option<Vec<u8>> {
    content_bytes(node.get_optional_child(tag)?)
}

pub(crate) fn content_bytes(node: &NodeRef<'_>) -> Option<Vec<u8>> {
    match node.content_bytes() {
        Some(bytes) => Some(bytes.to_vec()),
        None => node.content_str().map(|text| text.as_bytes().to_vec()),
    }
}

pub(crate) fn children<'n, 'a>(node: &'n NodeRef<'a>) -> &'n [NodeRef<'a>] {
    node.children().unwrap_or_default()
}

/// `<iq type=result>`, to be filled with what was asked for.
pub(crate) fn result(id: &str) -> NodeBuilder {
    NodeBuilder::new("iq")
        .attr("from", server_jid())
        .attr("type", "result")
        .attr("id", id)
}

/// `<iq type=error>` with a code and its text.
pub(crate) fn refusal(id: &str, code: u16, text: &'static str) -> Node {
    NodeBuilder::new("iq")
        .attr("from", server_jid())
        .attr("type", "error")
        .attr("id", id)
        .children([error(code, text)])
        .build()
}

pub(crate) fn error(code: u16, text: &'static str) -> Node {
    NodeBuilder::new("error").attr("code", code).attr("text", text).build()
}

/// The bytes of a node as they go into a frame. Our own nodes always encode; should one not, it is left out.
pub(crate) fn encode(node: &Node) -> Bytes {
    match text::marshal(node) {
        Ok(bytes) => Bytes::from(bytes),
        Err(failure) => {
            tracing::error!(error = %failure, tag = %node.tag, "a node of the server cannot be encoded");
            Bytes::new()
        }
    }
}

/// Reads back what `encode` wrote.
pub(crate) fn decode(encoded: &[u8]) -> Option<OwnedNodeRef> {
    let body = unpack_bytes(BytesMut::from(encoded)).ok()?;
    OwnedNodeRef::new(body).ok()
}
