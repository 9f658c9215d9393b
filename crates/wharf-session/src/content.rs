//! The form in which a message's content is stored, before it is sealed: JSON that later versions can add to. The body
//! of every message row is written and read here and nowhere else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wharf_model::Content;

/// Stored content that this version cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored content cannot be read")]
pub struct UnreadableContent;

/// The bytes to seal for a message that goes out.
pub fn encode(content: &Content) -> Vec<u8> {
    to_json(content).to_string().into_bytes()
}

/// The bytes to seal for a message that came in. `raw` is the protobuf as decrypted, kept where a later version may
/// understand what this one does not.
pub fn encode_inbound(content: &Content, raw: &[u8]) -> Vec<u8> {
    let mut value = to_json(content);
    if let (Content::Unsupported(_), Value::Object(fields)) = (content, &mut value) {
        fields.insert("raw".to_owned(), Value::String(STANDARD.encode(raw)));
    }
    value.to_string().into_bytes()
}

/// What [`encode`] or [`encode_inbound`] was given.
///
/// # Errors
/// The bytes are not content, or of a kind that this version does not know.
pub fn decode(bytes: &[u8]) -> Result<Content, UnreadableContent> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| UnreadableContent)?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    match value.get("type").and_then(Value::as_str) {
        Some("text") => text("/text/body").map(Content::text).ok_or(UnreadableContent),
        Some("unsupported") => text("/field").map(Content::Unsupported).ok_or(UnreadableContent),
        _ => Err(UnreadableContent),
    }
}

/// Content as events show it, and as it is stored.
pub(crate) fn to_json(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!({ "type": "text", "text": { "body": text.body } }),
        Content::Unsupported(field) => json!({ "type": "unsupported", "field": field }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_understood_keeps_its_bytes() {
        let content = Content::Unsupported("pollCreationMessage".to_owned());
        let bytes = encode_inbound(&content, &[0, 255, 7]);
        assert_eq!(decode(&bytes), Ok(content));
        assert!(String::from_utf8(bytes).unwrap().contains("AP8H"));
    }

    proptest! {
        #[test]
        fn text_reads_back(body in "\\PC*") {
            prop_assert_eq!(decode(&encode(&Content::text(body.clone()))), Ok(Content::text(body)));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
