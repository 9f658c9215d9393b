//! What comes in.

use serde_json::Value;
use wacore::proto_helpers::MessageExt;
use wacore::types::events::InboundMessage as EngineMessage;
use wacore::types::message::{MessageCategory, MessageInfo};
use waproto::whatsapp as wa;
use wharf_model::{Content, Timestamp};
use wharf_session::port::InboundMessage;

use super::address::{chat_jid, person_jid};

/// Fields of a message that say nothing by themselves.
const WRAPPING: [&str; 3] = [
    "message_context_info",
    "sender_key_distribution_message",
    "fast_ratchet_key_sender_key_distribution_message",
];

/// The message in Wharf's words; `None` for what is no message of a chat: talk between our own devices, broadcasts,
/// channels, and envelopes that carry nothing but keys.
pub(crate) fn inbound(message: &EngineMessage) -> Option<InboundMessage> {
    let info = &message.info;
    if info.category == MessageCategory::Peer {
        return None;
    }
    Some(InboundMessage {
        whatsapp_id: info.id.clone(),
        chat: chat_jid(&info.source.chat)?,
        sender: person_jid(&info.source.sender)?,
        sender_phone: sender_phone(info),
        from_me: info.source.is_from_me,
        push_name: (!info.push_name.is_empty()).then(|| info.push_name.clone()),
        at: Timestamp::from_millis(info.timestamp.timestamp_millis()),
        content: content(&message.message)?,
        raw: waproto::codec::message_to_vec(&message.message),
    })
}

/// Told only beside a LID.
fn sender_phone(info: &MessageInfo) -> Option<wharf_model::Jid> {
    let alternative = info.source.sender_alt.as_ref()?;
    (info.source.sender.server.is_lid_family() && alternative.server.is_pn_family())
        .then(|| person_jid(alternative))
        .flatten()
}

fn content(message: &wa::Message) -> Option<Content> {
    let base = message.get_base_message();
    match base.text_content() {
        Some(text) => Some(Content::text(text)),
        None => field_name(base).map(Content::Unsupported),
    }
}

/// The name of the field that is set, as WhatsApp's own protocol files write it: `imageMessage`.
fn field_name(message: &wa::Message) -> Option<String> {
    let fields = serde_json::to_value(message).ok()?;
    fields
        .as_object()?
        .iter()
        .find(|(name, value)| !is_unset(value) && !WRAPPING.contains(&name.as_str()))
        .map(|(name, _)| camel_case(name))
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut characters = word.chars();
        camel.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(characters.as_str());
        camel
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use buffa::MessageField;
    use std::sync::Arc;

    fn arrived(message: wa::Message, info: MessageInfo) -> Option<InboundMessage> {
        inbound(
            &EngineMessage::builder()
                .message(Arc::new(message))
                .info(Arc::new(info))
                .build(),
        )
    }

    fn info(chat: &str, sender: &str) -> MessageInfo {
        let mut info = MessageInfo {
            id: "3EB0".to_owned(),
            push_name: "Ann".to_owned(),
            ..MessageInfo::default()
        };
        info.source.chat = chat.parse().unwrap();
        info.source.sender = sender.parse().unwrap();
        info
    }

    fn text(body: &str) -> wa::Message {
        wa::Message {
            conversation: Some(body.to_owned()),
            ..Default::default()
        }
    }

    #[test]
    fn both_kinds_of_text_are_texts() {
        let extended = wa::Message {
            extended_text_message: MessageField::some(wa::message::ExtendedTextMessage {
                text: Some("long".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(content(&text("short")), Some(Content::text("short")));
        assert_eq!(content(&extended), Some(Content::text("long")));
    }

    #[test]
    fn what_is_not_understood_keeps_its_name_and_its_bytes() {
        let image = wa::Message {
            image_message: MessageField::some(wa::message::ImageMessage {
                url: Some("https://mmg.whatsapp.net/x".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let bytes = waproto::codec::message_to_vec(&image);
        let message = arrived(
            image,
            info("15550000002@s.whatsapp.net", "15550000002:1@s.whatsapp.net"),
        )
        .unwrap();
        assert_eq!(message.content, Content::Unsupported("imageMessage".to_owned()));
        assert_eq!(message.raw, bytes);
    }

    #[test]
    fn an_envelope_of_keys_is_no_message() {
        let keys = wa::Message {
            sender_key_distribution_message: MessageField::some(wa::message::SenderKeyDistributionMessage::default()),
            message_context_info: MessageField::some(wa::MessageContextInfo::default()),
            ..Default::default()
        };
        assert_eq!(content(&keys), None);
        assert_eq!(content(&wa::Message::default()), None);
    }

    #[test]
    fn the_phone_beside_a_lid_is_kept() {
        let mut info = info("100000000000001@lid", "100000000000001:4@lid");
        info.source.sender_alt = Some("15550000002@s.whatsapp.net".parse().unwrap());
        let message = arrived(text("hi"), info).unwrap();
        assert_eq!(message.sender.to_string(), "100000000000001@lid");
        assert_eq!(message.sender_phone.unwrap().to_string(), "15550000002@s.whatsapp.net");
        assert_eq!(message.push_name.as_deref(), Some("Ann"));
    }

    #[test]
    fn talk_between_our_own_devices_and_broadcasts_are_no_chats() {
        let mut peer = info("15550000001@s.whatsapp.net", "15550000001@s.whatsapp.net");
        peer.category = MessageCategory::Peer;
        assert!(arrived(text("x"), peer).is_none());
        assert!(arrived(text("x"), info("status@broadcast", "15550000001@s.whatsapp.net")).is_none());
    }
}
