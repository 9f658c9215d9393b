//! Sender keys of groups (`SenderKeyRecord` of Baileys): the key that a device encrypts with for everybody in a group.

use serde_json::{Value, json};
use wacore_libsignal::protocol::{
    SenderChainKeyComponents, SenderKeyRecord, SenderKeyRecordComponents, SenderKeyStateComponents,
    SenderMessageKeyComponents, SenderSigningKeyComponents,
};
use wharf_model::{Jid, JidServer};
use zeroize::Zeroizing;

use super::{bytes, keys, number, write};
use crate::keys::SenderKey;

/// Between group, user and device; files have dashes for colons.
const JOINT: &str = "::";
const JOINT_IN_FILES: &str = "--";

/// From its name and what it says.
pub(super) fn read(id: &str, value: &Value) -> Option<SenderKey> {
    let id = id.replace(JOINT, JOINT_IN_FILES);
    let (rest, device) = id.rsplit_once(JOINT_IN_FILES)?;
    let (group, user) = rest.rsplit_once(JOINT_IN_FILES)?;
    let group: Jid = group.parse().ok()?;
    let states: Value = serde_json::from_slice(&Zeroizing::new(bytes::read(value)?)).ok()?;
    // Baileys has the newest state last, libsignal first.
    let states = states.as_array()?.iter().rev().map(state);
    let states = states.collect::<Option<_>>()?;
    let record = SenderKeyRecord::from_components(SenderKeyRecordComponents { states }).ok()?;
    Some(SenderKey {
        of: keys::address(&format!("{user}.{device}"))?,
        group: Some(group).filter(|group| group.server() == JidServer::Group)?,
        record: Zeroizing::new(record.serialize().ok()?),
    })
}

fn state(value: &Value) -> Option<SenderKeyStateComponents> {
    let (chain, signing) = (value.get("senderChainKey")?, value.get("senderSigningKey")?);
    let private = signing.get("private").and_then(bytes::read);
    let passed_over = value.get("senderMessageKeys").and_then(Value::as_array);
    let message_key = |key: &Value| {
        Some(SenderMessageKeyComponents {
            iteration: number(key.get("iteration"))?,
            seed: bytes::read(key.get("seed")?)?,
        })
    };
    Some(SenderKeyStateComponents {
        key_id: number(value.get("senderKeyId"))?,
        chain_key: SenderChainKeyComponents {
            iteration: number(chain.get("iteration"))?,
            seed: bytes::read(chain.get("seed")?)?,
        },
        signing_key: SenderSigningKeyComponents {
            public: write::typed(&bytes::public_key(signing.get("public")?)?),
            // Only our own has it.
            private: private.filter(|private| !private.is_empty()),
        },
        message_keys: passed_over.map_or(Some(Vec::new()), |keys| keys.iter().map(message_key).collect())?,
    })
}

/// The name and what it says; `None` for a record that cannot be read.
pub(super) fn write(key: &SenderKey) -> Option<(String, Value)> {
    let states = SenderKeyRecord::deserialize(&key.record)
        .ok()?
        .into_components()
        .ok()?
        .states;
    let states: Vec<_> = states.iter().rev().map(state_json).collect();
    let text = Zeroizing::new(Value::from(states).to_string());
    let address = write::address(&key.of);
    let (user, device) = address.split_once('.')?;
    let id = format!("{}{JOINT}{user}{JOINT}{device}", key.group);
    Some((id, write::buffer(text.as_bytes())))
}

fn state_json(state: &SenderKeyStateComponents) -> Value {
    let seeds = state.message_keys.iter();
    let seeds = seeds.map(|key| json!({"iteration": key.iteration, "seed": write::buffer(&key.seed)}));
    json!({
        "senderKeyId": state.key_id,
        "senderChainKey": {
            "iteration": state.chain_key.iteration,
            "seed": write::buffer(&state.chain_key.seed),
        },
        "senderSigningKey": {
            "public": write::buffer(&state.signing_key.public),
            "private": write::buffer(state.signing_key.private.as_deref().unwrap_or_default()),
        },
        "senderMessageKeys": seeds.collect::<Vec<_>>(),
    })
}
