//! Bytes in JSON, in every notation that Baileys and what was made of it have used.

use serde_json::{Map, Value};

use crate::base64;

/// `{"type": "Buffer", "data": "<base64>"}` today; `data` as an array in older files; a bare text where protobuf objects
/// were written by their own rules; an array or `{"0": 1, "1": 2}` where nobody had a rule at all.
pub(super) fn read(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Object(object) => match object.get("data").or_else(|| object.get("value")) {
            Some(Value::String(text)) => decoded(text),
            Some(Value::Array(items)) => octets(items.iter()),
            Some(_) => None,
            None => indexed(object),
        },
        Value::String(text) => decoded(text),
        Value::Array(items) => octets(items.iter()),
        _ => None,
    }
}

/// Exactly so many bytes.
pub(super) fn exactly<const N: usize>(value: &Value) -> Option<[u8; N]> {
    read(value)?.try_into().ok()
}

/// A public key, without the type byte that some write before it.
pub(super) fn public_key(value: &Value) -> Option<[u8; 32]> {
    /// Curve25519, the only kind there is.
    const TYPE: u8 = 5;
    let bytes = read(value)?;
    match bytes.split_first() {
        Some((&TYPE, key)) if bytes.len() == 33 => key.try_into().ok(),
        _ => bytes.try_into().ok(),
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    base64::decode(text.as_bytes()).map(|mut bytes| std::mem::take(&mut *bytes))
}

fn octets<'v>(items: impl Iterator<Item = &'v Value>) -> Option<Vec<u8>> {
    items.map(|item| u8::try_from(item.as_u64()?).ok()).collect()
}

fn indexed(object: &Map<String, Value>) -> Option<Vec<u8>> {
    octets((0..object.len()).map(|place| object.get(&place.to_string()).unwrap_or(&Value::Null)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_notation_gives_the_same_bytes() {
        for value in [
            json!({"type": "Buffer", "data": "AQL/"}),
            json!({"type": "Buffer", "data": [1, 2, 255]}),
            json!({"buffer": true, "value": "AQL/"}),
            json!("AQL/"),
            json!([1, 2, 255]),
            json!({"0": 1, "1": 2, "2": 255}),
        ] {
            assert_eq!(read(&value), Some(vec![1, 2, 255]), "{value}");
        }
    }

    #[test]
    fn what_is_no_bytes_is_nothing() {
        for value in [
            json!(null),
            json!(5),
            json!([256]),
            json!([-1]),
            json!(["a"]),
            json!("not base64!"),
            json!({"type": "Buffer", "data": {"data": "AQL/"}}),
            json!({"0": 1, "2": 2}),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }

    #[test]
    fn a_public_key_may_carry_its_type() {
        let bare = vec![7; 32];
        let typed = [vec![5], bare.clone()].concat();
        assert_eq!(public_key(&json!(bare)), Some([7; 32]));
        assert_eq!(public_key(&json!(typed)), Some([7; 32]));
        assert_eq!(public_key(&json!(vec![7; 33])), None);
    }
}
