//! What goes out.

use buffa::MessageField;
use waproto::whatsapp as wa;
use wharf_model::Content;
use wharf_session::port::{OutboundMessage, SendError};

/// The message as WhatsApp's protobuf. The secret stands in the message context, where the engine takes it from
/// instead of making one up, so that every try carries the same.
pub(crate) fn message(outbound: &OutboundMessage) -> Result<wa::Message, SendError> {
    let mut message = content(&outbound.content)?;
    message.message_context_info = MessageField::some(wa::MessageContextInfo {
        message_secret: Some(outbound.secret.to_vec()),
        ..Default::default()
    });
    Ok(message)
}

fn content(content: &Content) -> Result<wa::Message, SendError> {
    match content {
        Content::Text(text) => Ok(wa::Message {
            conversation: Some(text.body.clone()),
            ..Default::default()
        }),
        Content::Unsupported(kind) => Err(SendError::Unsendable(format!("this version cannot send a {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::reporting_token::extract_message_secret;
    use wharf_model::Phone;

    fn outbound(content: Content) -> OutboundMessage {
        let to: Phone = "+15550000001".parse().unwrap();
        OutboundMessage {
            whatsapp_id: "3EB0".to_owned(),
            secret: [7; 32],
            to: to.to_jid(),
            content,
        }
    }

    #[test]
    fn a_text_carries_the_chosen_secret_where_the_engine_looks_for_it() {
        let message = message(&outbound(Content::text("hello"))).unwrap();
        assert_eq!(message.conversation.as_deref(), Some("hello"));
        assert_eq!(extract_message_secret(&message), Some([7; 32].as_slice()));
    }

    #[test]
    fn what_cannot_be_shown_cannot_be_sent() {
        let refused = message(&outbound(Content::Unsupported("pollCreationMessage".to_owned())));
        assert!(matches!(refused, Err(SendError::Unsendable(_))));
    }
}
