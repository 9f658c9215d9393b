//! Questions in JSON, each known by a number that changes between the releases of clients.

use serde_json::{Value, json};
use wacore_binary::builder::NodeBuilder;

use super::Question;
use crate::server::{Client, Reply, standing};
use crate::wire::node::text_attr;

/// Whether the account may start chats now. whatsapp-rust 0.7.0 and Baileys 7.
const TIME_LOCK: &str = "23983697327930364";
/// How many it may start. Baileys 7.
const NEW_CHATS: &str = "24503548349331633";

pub(super) fn answer(client: &Client, question: &Question<'_>) -> Option<Reply> {
    let query = question
        .child
        .filter(|child| question.kind == "get" && child.tag == "query")?;
    let number = text_attr(query, "query_id").unwrap_or_default();
    let state = client.account.state();
    let data = match number.as_str() {
        TIME_LOCK => json!({ "xwa2_fetch_account_reachout_timelock": standing::time_lock(&state) }),
        NEW_CHATS => json!({ "xwa2_message_capping_info": standing::new_chats(&state) }),
        _ => {
            client.network.unhandled.count(format!("get w:mex/{number}"));
            return Some(question.refuse(501, "feature-not-implemented"));
        }
    };
    drop(state);
    Some(found(question, &data))
}

fn found(question: &Question<'_>, data: &Value) -> Reply {
    let text = json!({ "data": data }).to_string();
    question.found(NodeBuilder::new("result").bytes(text.into_bytes()).build())
}
