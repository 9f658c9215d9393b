//! The fingerprint of an app-state key: a protobuf in the engine, an object in Baileys.

use serde_json::{Value, json};
use waproto::codec::{app_state_sync_key_fingerprint_decode, app_state_sync_key_fingerprint_to_vec};
use waproto::whatsapp::message::AppStateSyncKeyFingerprint;

use super::number;

pub(super) fn from_json(value: &Value) -> Vec<u8> {
    let indexes = value.get("deviceIndexes").and_then(Value::as_array);
    let indexes = indexes.into_iter().flatten();
    app_state_sync_key_fingerprint_to_vec(&AppStateSyncKeyFingerprint {
        raw_id: number(value.get("rawId")),
        current_index: number(value.get("currentIndex")),
        device_indexes: indexes.filter_map(|index| number(Some(index))).collect(),
    })
}

/// `null` for what cannot be read: Baileys keeps it and does not look at it.
pub(super) fn to_json(bytes: &[u8]) -> Value {
    app_state_sync_key_fingerprint_decode(bytes).map_or(Value::Null, |fingerprint| {
        json!({
            "rawId": fingerprint.raw_id,
            "currentIndex": fingerprint.current_index,
            "deviceIndexes": fingerprint.device_indexes,
        })
    })
}
