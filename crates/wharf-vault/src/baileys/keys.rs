//! The keys beside `creds.json` (`SignalDataTypeMap` of Baileys; protocol brief, section 13).

use serde_json::Value;
use wharf_model::{Jid, JidServer};
use zeroize::Zeroizing;

use super::names::{Kind, LID_DOMAIN, REVERSE};
use super::{bytes, fingerprint, pair, sender_key, session};
use crate::credentials::Credentials;
use crate::keys::{Address, ContactToken, Identity, Keys, LidMapping, PreKey, SignalSession, SyncKey};
use crate::source::KeyFile;

/// Ids of pre-keys are three bytes on the wire, and 0 is none.
pub(crate) const PRE_KEY_IDS: std::ops::Range<u32> = 1..1 << 24;

/// Everything that can be read. O(size of all files), and for each conversation O(chains²), which are limited.
pub(crate) fn read(files: &[KeyFile], owner: &Credentials) -> Keys {
    let mut keys = Keys::default();
    for file in files {
        if take(&mut keys, file, owner).is_none() {
            keys.unreadable += 1;
        }
    }
    keys
}

/// `None` when the file is not what its name says.
fn take(keys: &mut Keys, KeyFile { name, content }: &KeyFile, owner: &Credentials) -> Option<()> {
    // What was deleted may have left its name.
    if content.trim_ascii() == b"null" {
        return Some(());
    }
    if name.kind == Kind::Session {
        let (with, record) = (address(&name.id)?, session::read(content, owner)?);
        keys.sessions
            .extend(record.map(|record| SignalSession { with, record }));
        return Some(());
    }
    let value: Value = serde_json::from_slice(content).ok()?;
    match name.kind {
        Kind::PreKey => keys.pre_keys.push(PreKey {
            id: name.id.parse().ok().filter(|id| PRE_KEY_IDS.contains(id))?,
            pair: pair(Some(&value))?,
        }),
        Kind::Session => {}
        Kind::SenderKey => keys.sender_keys.push(sender_key::read(&name.id, &value)?),
        Kind::Identity => keys.identities.push(Identity {
            of: address(&name.id)?,
            key: bytes::public_key(&value)?,
        }),
        Kind::SyncKey => keys.sync_keys.push(sync_key(&name.id, &value)?),
        Kind::LidMapping => keys.lid_mappings.extend(lid_mapping(&name.id, &value)?),
        Kind::ContactToken => keys.contact_tokens.push(contact_token(&name.id, &value)?),
    }
    Some(())
}

/// `USER.DEVICE`, or `USER_DOMAIN.DEVICE` for users that are no phone numbers.
pub(super) fn address(id: &str) -> Option<Address> {
    let (user, device) = id.split_once('.')?;
    let (user, server) = match user.split_once('_') {
        None => (user, JidServer::Phone),
        Some((user, LID_DOMAIN)) => (user, JidServer::Lid),
        Some(_) => return None,
    };
    Some(Address {
        jid: Jid::new(user, server).ok()?,
        device: device.parse().ok()?,
    })
}

fn sync_key(id: &str, value: &Value) -> Option<SyncKey> {
    let id = crate::base64::decode(id.as_bytes())?;
    Some(SyncKey {
        id: id.to_vec(),
        key: Zeroizing::new(bytes::read(value.get("keyData")?)?),
        fingerprint: value.get("fingerprint").map(fingerprint::from_json).unwrap_or_default(),
        made_at: seconds(value.get("timestamp")).unwrap_or(0),
    })
}

/// Numbers of 64 bits are texts in JSON.
fn seconds(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// `None` inside for the second file of a pair.
fn lid_mapping(id: &str, value: &Value) -> Option<Option<LidMapping>> {
    if id.ends_with(REVERSE) {
        return Some(None);
    }
    Some(Some(LidMapping {
        phone: Jid::new(id, JidServer::Phone).ok()?,
        lid: Jid::new(value.as_str()?, JidServer::Lid).ok()?,
    }))
}

fn contact_token(id: &str, value: &Value) -> Option<ContactToken> {
    Some(ContactToken {
        of: id.parse().ok()?,
        token: Zeroizing::new(bytes::read(value.get("token")?)?),
        given_at: seconds(value.get("timestamp"))?,
    })
}
