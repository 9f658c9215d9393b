//! What a ciphertext says about itself in the clear: which chain it belongs to and its place in it.

use wacore_libsignal::protocol::{PreKeySignalMessage, SenderKeyMessage, SignalMessage};

/// The label in the clear of a Signal message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// Hex, with the type byte.
    pub ratchet_key: Option<String>,
    pub counter: Option<u32>,
}

/// Reads the label, also of the message inside a `pkmsg`. Empty when the bytes are no Signal message.
pub(crate) fn label(kind: &str, bytes: &[u8]) -> Label {
    let chain = |message: &SignalMessage| Label {
        ratchet_key: Some(hex(&message.sender_ratchet_key().serialize())),
        counter: Some(message.counter()),
    };
    match kind {
        "pkmsg" => PreKeySignalMessage::try_from(bytes).map(|outer| chain(outer.message())),
        "msg" => SignalMessage::try_from(bytes).map(|message| chain(&message)),
        "skmsg" => SenderKeyMessage::try_from(bytes).map(|message| Label {
            ratchet_key: None,
            counter: Some(message.iteration()),
        }),
        _ => return Label::default(),
    }
    .unwrap_or_default()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_has_no_label() {
        for kind in ["pkmsg", "msg", "skmsg", "other"] {
            assert_eq!(label(kind, &[0x33; 80]), Label::default(), "{kind}");
        }
    }

    #[test]
    fn bytes_are_written_in_hex() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
    }
}
