//! Translates between message protobufs and what a phone shows or does.

use waproto::whatsapp::Message;
use waproto::whatsapp::message::{DeviceSentMessage, ProtocolMessage, protocol_message};

/// What a decrypted message means to the phone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Belongs into the chat.
    Shown { kind: &'static str, text: String },
    /// A companion asks for app-state keys.
    KeyRequest,
    /// Nothing a person would see.
    Silent,
}

pub(crate) fn text(text: &str) -> Message {
    Message {
        conversation: Some(text.to_owned()),
        ..Default::default()
    }
}

/// The copy own devices get, so that they know where a message went.
pub(crate) fn sent_to(destination: String, message: Message) -> Message {
    Message {
        device_sent_message: buffa::MessageField::some(DeviceSentMessage {
            destination_jid: Some(destination),
            message: buffa::MessageField::some(message),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn protocol(message: ProtocolMessage) -> Message {
    Message {
        protocol_message: buffa::MessageField::some(message),
        ..Default::default()
    }
}

pub(crate) fn read(message: &Message) -> Content {
    if let Some(protocol) = message.protocol_message.as_option() {
        return read_protocol(protocol);
    }
    if let Some(text) = &message.conversation {
        return shown("text", text);
    }
    if let Some(extended) = message.extended_text_message.as_option() {
        return shown("text", extended.text.as_deref().unwrap_or_default());
    }
    if let Some(reaction) = message.reaction_message.as_option() {
        return shown("reaction", reaction.text.as_deref().unwrap_or_default());
    }
    read_wrapped(message).unwrap_or_else(|| read_media(message))
}

fn read_protocol(protocol: &ProtocolMessage) -> Content {
    match protocol.r#type {
        Some(protocol_message::Type::APP_STATE_SYNC_KEY_REQUEST) => Content::KeyRequest,
        Some(protocol_message::Type::REVOKE) => shown("revoke", target(protocol)),
        Some(protocol_message::Type::MESSAGE_EDIT) => {
            let edited = protocol.edited_message.as_option().map(read);
            match edited {
                Some(Content::Shown { text, .. }) => Content::Shown { kind: "edit", text },
                _ => shown("edit", target(protocol)),
            }
        }
        _ => Content::Silent,
    }
}

fn target(protocol: &ProtocolMessage) -> &str {
    protocol
        .key
        .as_option()
        .and_then(|key| key.id.as_deref())
        .unwrap_or_default()
}

fn read_wrapped(message: &Message) -> Option<Content> {
    let wrappers = [
        &message.ephemeral_message,
        &message.view_once_message,
        &message.edited_message,
    ];
    let inner = wrappers.iter().find_map(|wrapper| wrapper.as_option())?;
    inner.message.as_option().map(read)
}

fn read_media(message: &Message) -> Content {
    if let Some(image) = message.image_message.as_option() {
        return shown("image", image.caption.as_deref().unwrap_or_default());
    }
    if let Some(video) = message.video_message.as_option() {
        return shown("video", video.caption.as_deref().unwrap_or_default());
    }
    if message.audio_message.is_set() {
        return shown("audio", "");
    }
    if let Some(document) = message.document_message.as_option() {
        return shown("document", document.file_name.as_deref().unwrap_or_default());
    }
    if message.sender_key_distribution_message.is_set() {
        return Content::Silent;
    }
    shown("other", "")
}

fn shown(kind: &'static str, text: &str) -> Content {
    Content::Shown {
        kind,
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_as_it_is() {
        assert_eq!(
            read(&text("hi")),
            Content::Shown {
                kind: "text",
                text: "hi".to_owned()
            }
        );
    }

    #[test]
    fn a_key_request_is_not_shown() {
        let request = ProtocolMessage {
            r#type: Some(protocol_message::Type::APP_STATE_SYNC_KEY_REQUEST),
            ..Default::default()
        };
        assert_eq!(read(&protocol(request)), Content::KeyRequest);
    }
}
