//! Where files are uploaded and fetched, and the pass for uploads.

use wacore_binary::builder::NodeBuilder;

use super::Question;
use crate::clock::unix_seconds;
use crate::network::media::PASS_LASTS;
use crate::server::{Client, Reply};

/// How long the list of hosts lasts, in seconds.
const HOSTS_LAST: u64 = 300;

pub(super) fn answer(client: &Client, question: &Question<'_>) -> Option<Reply> {
    if !question.is("set", "media_conn") {
        return None;
    }
    let network = &client.network;
    let auth = network
        .media
        .pass(&client.account.number, unix_seconds(), &mut network.rng());
    let host = NodeBuilder::new("host")
        .attr("hostname", network.authority())
        .attr("type", "primary")
        .build();
    let found = NodeBuilder::new("media_conn")
        .attr("auth", auth)
        .attr("ttl", HOSTS_LAST)
        .attr("auth_ttl", PASS_LASTS)
        .attr("max_buckets", "12")
        .children([host]);
    Some(question.found(found.build()))
}
