//! How accounts, devices and queued stanzas look in the store. Keys start with the account's number, so that one
//! account's records lie together.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::account::{Account, AccountState, Picture};
use super::contacts::ContactRules;
use super::device::{Device, OneTimeKey, SignedKey};
use super::queue::{Class, Queue, Queued};
use crate::error::StoreError;
use crate::model::{Ban, DeviceId};
use crate::phone::identity::{KeyMaterial, PhoneKeys};
use crate::phone::passkey::Passkey;
use crate::store::Record;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    pub lid: String,
    pub name: String,
    pub about: String,
    pub online: bool,
    #[serde(default)]
    pub ban: Option<Ban>,
    #[serde(default)]
    pub registered_as: Option<String>,
    #[serde(default)]
    pub retired: bool,
    #[serde(default)]
    pub silent: bool,
    #[serde(default)]
    pub passkey: Option<Passkey>,
    pub next_device: DeviceId,
    pub next_key_index: u32,
    pub next_given_key: u32,
    pub settings: BTreeMap<String, String>,
    #[serde(default)]
    pub rules: ContactRules,
    pub keys: KeyMaterial,
}

#[derive(Debug, Serialize, Deserialize)]
struct DeviceRecord {
    key_index: u32,
    noise: Blob,
    identity: Blob,
    registration: u32,
    signed_key_id: Blob,
    signed_key: Blob,
    signed_key_signature: Blob,
    identity_blob: Blob,
    platform: String,
    bootstrapped: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dirty: BTreeMap<String, u64>,
}

/// Bytes written as base64 text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Blob(pub Vec<u8>);

impl From<Blob> for String {
    fn from(blob: Blob) -> Self {
        BASE64_STANDARD.encode(blob.0)
    }
}

impl TryFrom<String> for Blob {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64_STANDARD.decode(text).map(Self)
    }
}

impl Blob {
    pub(crate) fn array<const N: usize>(self) -> Result<[u8; N], String> {
        let length = self.0.len();
        self.0.try_into().map_err(|_| format!("{length} bytes instead of {N}"))
    }
}

pub(crate) fn device_key(number: &str, device: DeviceId) -> String {
    format!("{number}/{device:05}")
}

pub(crate) fn one_time_key_key(number: &str, device: DeviceId, key: &OneTimeKey) -> String {
    let [a, b, c] = key.id;
    format!("{number}/{device:05}/{a:02x}{b:02x}{c:02x}")
}

pub(crate) fn stanza_key(number: &str, device: DeviceId, sequence: u64) -> String {
    format!("{number}/{device:05}/{sequence:016x}")
}

pub(crate) fn given_key_key(number: &str, id: u32) -> String {
    format!("{number}/{id:08x}")
}

pub(crate) fn patch_key(number: &str, collection: &str, version: usize) -> String {
    format!("{number}/{collection}/{version:08x}")
}

pub(crate) fn watcher_key(number: &str, watcher: &str) -> String {
    format!("{number}/{watcher}")
}

pub(crate) fn contact_key(number: &str, other: &str) -> String {
    format!("{number}/{other}")
}

pub(crate) fn encode_account(account: &Account, state: &AccountState) -> Vec<u8> {
    encode(&AccountRecord {
        lid: account.lid.clone(),
        name: state.name.clone(),
        about: state.about.clone(),
        online: state.online,
        ban: state.ban,
        registered_as: state.registered_as.clone(),
        retired: state.retired,
        silent: state.silent,
        passkey: state.passkey.clone(),
        next_device: state.next_device,
        next_key_index: state.next_key_index,
        next_given_key: state.next_given_key,
        settings: state.settings.clone(),
        rules: state.rules.clone(),
        keys: account.keys.material(),
    })
}

#[derive(Debug, Serialize, Deserialize)]
struct PictureRecord {
    id: String,
    bytes: Blob,
}

pub(crate) fn encode_picture(picture: &Picture) -> Vec<u8> {
    encode(&PictureRecord {
        id: picture.id.clone(),
        bytes: Blob(picture.bytes.to_vec()),
    })
}

pub(crate) fn decode_picture(record: &Record) -> Result<Picture, StoreError> {
    let PictureRecord { id, bytes } = decode(record)?;
    Ok(Picture {
        id,
        bytes: bytes.0.into(),
    })
}

/// Length of the address, address, file.
pub(crate) fn encode_media(path: &str, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(path.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], path.as_bytes(), bytes].concat()
}

pub(crate) fn decode_media(record: &Record) -> Result<(String, Bytes), StoreError> {
    let short = || corrupt(record, "too short");
    let (length, rest) = record.value.split_at_checked(2).ok_or_else(short)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let (path, bytes) = rest.split_at_checked(length).ok_or_else(short)?;
    Ok((
        String::from_utf8_lossy(path).into_owned(),
        Bytes::copy_from_slice(bytes),
    ))
}

pub(crate) fn decode_account(record: &Record) -> Result<(AccountRecord, PhoneKeys), StoreError> {
    let account: AccountRecord = decode(record)?;
    let keys = PhoneKeys::from_material(&account.keys).map_err(|failure| corrupt(record, &failure))?;
    Ok((account, keys))
}

pub(crate) fn encode_device(device: &Device) -> Vec<u8> {
    encode(&DeviceRecord {
        key_index: device.key_index,
        noise: Blob(device.noise.to_vec()),
        identity: Blob(device.identity.to_vec()),
        registration: device.registration,
        signed_key_id: Blob(device.signed_key.id.to_vec()),
        signed_key: Blob(device.signed_key.public.to_vec()),
        signed_key_signature: Blob(device.signed_key.signature.to_vec()),
        identity_blob: Blob(device.identity_blob.clone()),
        platform: device.platform.clone(),
        bootstrapped: device.bootstrapped,
        dirty: device.dirty.clone(),
    })
}

pub(crate) fn decode_device(record: &Record, id: DeviceId) -> Result<Device, StoreError> {
    let found: DeviceRecord = decode(record)?;
    let bad = |reason: String| corrupt(record, &reason);
    Ok(Device {
        id,
        key_index: found.key_index,
        noise: found.noise.array().map_err(bad)?,
        identity: found.identity.array().map_err(bad)?,
        registration: found.registration,
        signed_key: SignedKey {
            id: found.signed_key_id.array().map_err(bad)?,
            public: found.signed_key.array().map_err(bad)?,
            signature: found.signed_key_signature.array().map_err(bad)?,
        },
        identity_blob: found.identity_blob.0,
        platform: found.platform,
        bootstrapped: found.bootstrapped,
        dirty: found.dirty,
        one_time_keys: std::collections::VecDeque::new(),
        queue: Queue::default(),
        session: None,
    })
}

/// One-time keys are many: 35 bytes each, no text around them.
pub(crate) fn encode_one_time_key(key: &OneTimeKey) -> Vec<u8> {
    [&key.id[..], &key.public].concat()
}

pub(crate) fn decode_one_time_key(record: &Record) -> Result<OneTimeKey, StoreError> {
    let (id, public) = record
        .value
        .split_at_checked(3)
        .ok_or_else(|| corrupt(record, "too short"))?;
    match (id.try_into(), public.try_into()) {
        (Ok(id), Ok(public)) => Ok(OneTimeKey { id, public }),
        _ => Err(corrupt(record, "not 35 bytes")),
    }
}

/// Class, length of the id, id, stanza.
pub(crate) fn encode_stanza(stanza: &Queued) -> Vec<u8> {
    let length = u16::try_from(stanza.id.len()).unwrap_or(u16::MAX);
    let mut value = Vec::with_capacity(3 + stanza.id.len() + stanza.bytes.len());
    value.push(stanza.class as u8);
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(&stanza.id.as_bytes()[..usize::from(length)]);
    value.extend_from_slice(&stanza.bytes);
    value
}

pub(crate) fn decode_stanza(record: &Record, sequence: u64) -> Result<Queued, StoreError> {
    let short = || corrupt(record, "too short");
    let (head, rest) = record.value.split_at_checked(3).ok_or_else(short)?;
    let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
    let (id, bytes) = rest.split_at_checked(length).ok_or_else(short)?;
    Ok(Queued {
        sequence,
        class: Class::from_number(head[0]),
        id: String::from_utf8_lossy(id).into_owned(),
        bytes: Bytes::copy_from_slice(bytes),
        observed: None,
        after: 0,
    })
}

pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

pub(crate) fn decode<'r, T: Deserialize<'r>>(record: &'r Record) -> Result<T, StoreError> {
    serde_json::from_slice(&record.value).map_err(|failure| corrupt(record, &failure.to_string()))
}

pub(crate) fn corrupt(record: &Record, reason: &str) -> StoreError {
    StoreError::Corrupt {
        kind: record.kind as u8,
        key: record.key.clone(),
        reason: reason.to_owned(),
    }
}
