//! Copies of what the account's other devices send. The engine asks everybody for a message that it cannot decrypt, but
//! not the account itself: such a copy it acknowledges, and WhatsApp forgets it. So it is asked here.

use std::sync::Arc;

use wacore::protocol::retry::RetryReason;
use wacore::types::message::MessageInfo;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use whatsapp_rust::RetryRequestOptions;

use crate::watch::RunWatch;

/// Asks the device that said it to say it again, with keys for a new Signal session. The engine's acknowledgement goes out
/// beside the request: a process that ends in between loses the copy, and so does a device that stays silent.
pub(crate) fn ask_again(watch: &Arc<RunWatch>, info: &Arc<MessageInfo>) {
    if !info.source.is_self_fanout() {
        return;
    }
    let Some(engine) = watch.engine() else { return };
    let stanza = stanza(info);
    tokio::spawn(async move {
        let keys = RetryRequestOptions::new()
            .with_reason(RetryReason::NoSession)
            .with_force_include_keys(true);
        let asked = engine.request_message_retry(&stanza.as_node_ref(), keys).await;
        if let Err(error) = asked {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "A copy of what the account said elsewhere could not be decrypted nor asked for again: it is lost"
            );
        }
    });
}

/// As much of the stanza as the engine reads: it keeps none.
fn stanza(info: &MessageInfo) -> Node {
    let mut stanza = NodeBuilder::new("message")
        .attr("id", info.id.as_str())
        .attr("from", &info.source.sender)
        .attr("t", info.timestamp.timestamp().to_string())
        .attr("type", "text");
    if let Some(recipient) = &info.source.recipient {
        stanza = stanza.attr("recipient", recipient);
    }
    stanza.build()
}
