//! Translates between message protobufs and what a phone shows or does.

use wacore::download::Downloadable;
use waproto::whatsapp::message::{
    DeviceSentMessage, LocationMessage, PollCreationMessage, ProtocolMessage, protocol_message,
};
use waproto::whatsapp::{ContextInfo, Message};

use crate::model::FileInfo;

/// What a decrypted message means to the phone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Belongs into the chat.
    Shown(Shown),
    /// A companion asks for app-state keys.
    KeyRequest,
    /// Nothing a person would see.
    Silent,
}

/// What a person sees of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub kind: &'static str,
    pub text: String,
    pub file: Option<FileInfo>,
}

impl Shown {
    pub(crate) fn nothing() -> Self {
        Self {
            kind: "other",
            text: String::new(),
            file: None,
        }
    }
}

/// What a message has to do with other messages and with people, whatever it says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ties {
    /// The message that it answers, reacts to, changes, takes back or votes in.
    pub about: Option<String>,
    /// JIDs.
    pub mentions: Vec<String>,
    /// Seconds.
    pub expires_in: Option<u32>,
    /// The names of what can be chosen.
    pub options: Vec<String>,
}

pub(crate) fn ties(message: &Message) -> Ties {
    let message = unwrapped(message);
    let options = poll(message).map(|poll| poll.options.as_slice()).unwrap_or_default();
    let mut ties = Ties {
        options: options.iter().filter_map(|option| option.option_name.clone()).collect(),
        ..Ties::default()
    };
    let keys = [
        message.reaction_message.as_option().map(|reaction| &reaction.key),
        message.protocol_message.as_option().map(|protocol| &protocol.key),
        message
            .poll_update_message
            .as_option()
            .map(|vote| &vote.poll_creation_message_key),
    ];
    ties.about = keys.into_iter().flatten().find_map(|key| key.id.clone());
    if let Some(context) = context(message) {
        ties.about = ties.about.or_else(|| context.stanza_id.clone());
        ties.mentions.clone_from(&context.mentioned_jid);
        ties.expires_in = context.expiration.filter(|&seconds| seconds > 0);
    }
    ties
}

/// What a message says about its surroundings; each kind has a place of its own for it.
fn context(message: &Message) -> Option<&ContextInfo> {
    let contexts = [
        message.extended_text_message.as_option().map(|text| &text.context_info),
        message.image_message.as_option().map(|image| &image.context_info),
        message.video_message.as_option().map(|video| &video.context_info),
        message.audio_message.as_option().map(|audio| &audio.context_info),
        message
            .document_message
            .as_option()
            .map(|document| &document.context_info),
        message.sticker_message.as_option().map(|sticker| &sticker.context_info),
        message
            .location_message
            .as_option()
            .map(|location| &location.context_info),
        message.contact_message.as_option().map(|contact| &contact.context_info),
        poll(message).map(|poll| &poll.context_info),
    ];
    contexts.into_iter().flatten().find_map(|context| context.as_option())
}

fn poll(message: &Message) -> Option<&PollCreationMessage> {
    let polls = [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
    ];
    polls.into_iter().find_map(|poll| poll.as_option())
}

/// Wrappers inside wrappers that are taken off; nobody packs deeper.
const MAX_WRAPPERS: usize = 8;

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
    let message = unwrapped(message);
    if let Some(protocol) = message.protocol_message.as_option() {
        return read_protocol(protocol);
    }
    if let Some(file) = file(message) {
        return Content::Shown(file.shown());
    }
    match words(message) {
        Some((kind, text)) => shown(kind, text),
        None if message.sender_key_distribution_message.is_set() => Content::Silent,
        None => shown("other", String::new()),
    }
}

/// The message inside its wrappers: one that disappears, is seen once, edits, or gives a document a caption.
pub(super) fn unwrapped(mut message: &Message) -> &Message {
    for _ in 0..MAX_WRAPPERS {
        let wrappers = [
            &message.ephemeral_message,
            &message.view_once_message,
            &message.view_once_message_v2,
            &message.document_with_caption_message,
            &message.edited_message,
        ];
        let inner = wrappers.iter().find_map(|wrapper| wrapper.as_option());
        match inner.and_then(|inner| inner.message.as_option()) {
            Some(inner) => message = inner,
            None => break,
        }
    }
    message
}

fn read_protocol(protocol: &ProtocolMessage) -> Content {
    match protocol.r#type {
        Some(protocol_message::Type::APP_STATE_SYNC_KEY_REQUEST) => Content::KeyRequest,
        Some(protocol_message::Type::REVOKE) => shown("revoke", target(protocol)),
        Some(protocol_message::Type::MESSAGE_EDIT) => {
            let edited = protocol.edited_message.as_option().map(read);
            match edited {
                Some(Content::Shown(edited)) => Content::Shown(Shown { kind: "edit", ..edited }),
                _ => shown("edit", target(protocol)),
            }
        }
        _ => Content::Silent,
    }
}

fn target(protocol: &ProtocolMessage) -> String {
    let id = protocol.key.as_option().and_then(|key| key.id.clone());
    id.unwrap_or_default()
}

/// What a message without a file says.
fn words(message: &Message) -> Option<(&'static str, String)> {
    if let Some(text) = &message.conversation {
        return Some(("text", text.clone()));
    }
    if let Some(extended) = message.extended_text_message.as_option() {
        return Some(("text", extended.text.clone().unwrap_or_default()));
    }
    if let Some(reaction) = message.reaction_message.as_option() {
        return Some(("reaction", reaction.text.clone().unwrap_or_default()));
    }
    if let Some(location) = message.location_message.as_option() {
        return Some(("location", place(location)));
    }
    if let Some(contact) = message.contact_message.as_option() {
        return Some(("contact", contact.display_name.clone().unwrap_or_default()));
    }
    if let Some(contacts) = message.contacts_array_message.as_option() {
        return Some(("contact", contacts.display_name.clone().unwrap_or_default()));
    }
    if let Some(poll) = poll(message) {
        return Some(("poll", poll.name.clone().unwrap_or_default()));
    }
    let vote = message.poll_update_message.is_set();
    vote.then(|| ("poll_vote", String::new()))
}

fn place(location: &LocationMessage) -> String {
    let (latitude, longitude) = (location.degrees_latitude, location.degrees_longitude);
    let point = format!("{}, {}", latitude.unwrap_or_default(), longitude.unwrap_or_default());
    match location.name.as_deref() {
        Some(name) if !name.is_empty() => format!("{name} ({point})"),
        _ => point,
    }
}

/// The file of a message, with what is said about it.
pub(super) struct FileOf<'m> {
    kind: &'static str,
    pub media: &'m dyn Downloadable,
    mime: Option<&'m str>,
    caption: Option<&'m str>,
    name: Option<&'m str>,
}

pub(super) fn file(message: &Message) -> Option<FileOf<'_>> {
    let message = unwrapped(message);
    if let Some(image) = message.image_message.as_option() {
        let caption = image.caption.as_deref();
        return Some(FileOf {
            caption,
            ..FileOf::new("image", image, &image.mimetype)
        });
    }
    if let Some(video) = message.video_message.as_option() {
        let caption = video.caption.as_deref();
        return Some(FileOf {
            caption,
            ..FileOf::new("video", video, &video.mimetype)
        });
    }
    if let Some(audio) = message.audio_message.as_option() {
        let kind = if audio.ptt == Some(true) { "voice" } else { "audio" };
        return Some(FileOf::new(kind, audio, &audio.mimetype));
    }
    if let Some(document) = message.document_message.as_option() {
        return Some(FileOf {
            caption: document.caption.as_deref(),
            name: document.file_name.as_deref(),
            ..FileOf::new("document", document, &document.mimetype)
        });
    }
    let sticker = message.sticker_message.as_option()?;
    Some(FileOf::new("sticker", sticker, &sticker.mimetype))
}

impl<'m> FileOf<'m> {
    fn new(kind: &'static str, media: &'m dyn Downloadable, mime: &'m Option<String>) -> Self {
        Self {
            kind,
            media,
            mime: mime.as_deref(),
            caption: None,
            name: None,
        }
    }

    fn shown(&self) -> Shown {
        Shown {
            kind: self.kind,
            text: self.caption.unwrap_or_default().to_owned(),
            file: Some(FileInfo {
                name: self.name.map(str::to_owned),
                mime: self.mime.unwrap_or("application/octet-stream").to_owned(),
                size: self.media.file_length().unwrap_or_default(),
            }),
        }
    }
}

fn shown(kind: &'static str, text: String) -> Content {
    let file = None;
    Content::Shown(Shown { kind, text, file })
}

#[cfg(test)]
mod tests {
    use waproto::whatsapp::message::{DocumentMessage, FutureProofMessage};

    use super::*;

    #[test]
    fn a_text_is_shown_as_it_is() {
        assert_eq!(read(&text("hi")), shown("text", "hi".to_owned()));
    }

    #[test]
    fn a_key_request_is_not_shown() {
        let request = ProtocolMessage {
            r#type: Some(protocol_message::Type::APP_STATE_SYNC_KEY_REQUEST),
            ..Default::default()
        };
        assert_eq!(read(&protocol(request)), Content::KeyRequest);
    }

    fn wrapped(message: Message) -> Message {
        Message {
            ephemeral_message: buffa::MessageField::some(FutureProofMessage {
                message: buffa::MessageField::some(message),
            }),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_said_of_a_file_is_shown_also_through_wrappers() {
        let document = Message {
            document_message: buffa::MessageField::some(DocumentMessage {
                file_name: Some("menu.pdf".to_owned()),
                caption: Some("for tonight".to_owned()),
                mimetype: Some("application/pdf".to_owned()),
                file_length: Some(7),
                ..Default::default()
            }),
            ..Default::default()
        };
        let Content::Shown(seen) = read(&wrapped(wrapped(document))) else {
            panic!("a document is shown");
        };
        assert_eq!((seen.kind, &*seen.text), ("document", "for tonight"));
        let file = seen.file.unwrap();
        assert_eq!(
            (file.name.as_deref(), &*file.mime, file.size),
            (Some("menu.pdf"), "application/pdf", 7)
        );
    }

    #[test]
    fn endless_wrappers_end() {
        let deep = (0..100).fold(text("hi"), |message, _| wrapped(message));
        assert_eq!(read(&deep), shown("other", String::new()));
    }
}
