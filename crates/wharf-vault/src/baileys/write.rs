//! What Baileys reads: `creds.json`, and a file for each key.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use wacore_libsignal::protocol::SessionRecord;
use wharf_model::JidServer;
use zeroize::Zeroizing;

use super::names::{self, Kind};
use super::{sender_key, session};
use crate::credentials::{Credentials, KeyPair};
use crate::keys::{Address, Keys};
use crate::report::Portable;

/// A file's name and what it holds.
pub(crate) type File = (String, Zeroizing<Vec<u8>>);

/// The type byte before public keys in the Signal protocol.
const CURVE: [u8; 1] = [5];

/// `creds.json` (`AuthenticationCreds`). What Baileys keeps beside what Wharf knows is as after a finished link.
pub(crate) fn creds(portable: &Portable) -> Zeroizing<Vec<u8>> {
    let Portable { credentials, keys, .. } = portable;
    let Credentials {
        noise,
        identity,
        signed_pre_key,
        account,
        owner,
        ..
    } = credentials;
    let jid = |user: &str, server: JidServer| format!("{user}:{}@{}", owner.device, server.as_str());
    let lid = owner.lid.as_ref().map(|lid| jid(lid.user(), lid.server()));
    let secret = credentials
        .linking_secret
        .as_ref()
        .map(|secret| BASE64_STANDARD.encode(**secret));
    let newest_sync_key = keys.sync_keys.iter().max_by_key(|key| key.made_at);
    let mut creds = json!({
        "noiseKey": pair(noise),
        // Only for linking by code, which is over.
        "pairingEphemeralKeyPair": pair(noise),
        "signedIdentityKey": pair(identity),
        "signedPreKey": {
            "keyPair": pair(&signed_pre_key.pair),
            "signature": buffer(&signed_pre_key.signature),
            "keyId": signed_pre_key.id,
        },
        "registrationId": credentials.registration_id,
        "advSecretKey": secret,
        "processedHistoryMessages": [],
        "nextPreKeyId": credentials.next_pre_key_id,
        "firstUnuploadedPreKeyId": credentials.next_pre_key_id,
        // With 0 Baileys 7 waits for a history that comes to new links only.
        "accountSyncCounter": 1,
        "accountSettings": {"unarchiveChats": false},
        "registered": true,
        "account": {
            "details": buffer(&account.details),
            "accountSignatureKey": buffer(&account.account_key),
            "accountSignature": buffer(&account.account_signature),
            "deviceSignature": buffer(&account.device_signature),
        },
        "me": {"id": jid(owner.phone.user(), owner.phone.server()), "lid": lid, "name": owner.name},
        "signalIdentities": [{
            "identifier": {"name": lid.as_ref().unwrap_or(&owner.phone.to_string()), "deviceId": 0},
            "identifierKey": buffer(&typed(&account.account_key)),
        }],
        "platform": "android",
    });
    if let Some(key) = newest_sync_key {
        creds["myAppStateKeyId"] = BASE64_STANDARD.encode(&key.id).into();
    }
    if let Some(routing) = &credentials.routing_info {
        creds["routingInfo"] = buffer(routing);
    }
    written(&creds)
}

/// A folder as `useMultiFileAuthState` keeps it, and how many conversations could not be written: their peers are met
/// anew.
pub(crate) fn folder(portable: &Portable) -> (Vec<File>, usize) {
    let mut files = vec![("creds.json".to_owned(), creds(portable))];
    let Keys {
        pre_keys,
        sessions,
        sender_keys,
        identities,
        sync_keys,
        lid_mappings,
        contact_tokens,
        ..
    } = &portable.keys;
    let mut add = |kind: Kind, id: &str, content| files.push((names::file(kind, id), content));
    for key in pre_keys {
        add(Kind::PreKey, &key.id.to_string(), written(&pair(&key.pair)));
    }
    let mut left = portable.keys.unreadable;
    for conversation in sessions {
        let record = SessionRecord::deserialize(&conversation.record)
            .ok()
            .and_then(session::write);
        match record {
            Some(record) => add(Kind::Session, &address(&conversation.with), record),
            None => left += 1,
        }
    }
    for key in sender_keys {
        match sender_key::write(key) {
            Some((id, value)) => add(Kind::SenderKey, &id, written(&value)),
            None => left += 1,
        }
    }
    for identity in identities {
        add(
            Kind::Identity,
            &address(&identity.of),
            written(&buffer(&typed(&identity.key))),
        );
    }
    for key in sync_keys {
        let value = json!({
            "keyData": buffer(&key.key),
            "fingerprint": super::fingerprint::to_json(&key.fingerprint),
            "timestamp": key.made_at.to_string(),
        });
        add(Kind::SyncKey, &BASE64_STANDARD.encode(&key.id), written(&value));
    }
    for mapping in lid_mappings {
        let (phone, lid) = (mapping.phone.user(), mapping.lid.user());
        add(Kind::LidMapping, phone, written(&lid.into()));
        add(
            Kind::LidMapping,
            &format!("{lid}{}", names::REVERSE),
            written(&phone.into()),
        );
    }
    for token in contact_tokens {
        let value = json!({"token": buffer(&token.token), "timestamp": token.given_at.to_string()});
        add(Kind::ContactToken, &token.of.to_string(), written(&value));
    }
    (files, left)
}

pub(super) fn address(address: &Address) -> String {
    let user = address.jid.user();
    match address.jid.server() {
        JidServer::Lid => format!("{user}_{}.{}", names::LID_DOMAIN, address.device),
        _ => format!("{user}.{}", address.device),
    }
}

fn pair(pair: &KeyPair) -> Value {
    json!({"private": buffer(&*pair.private), "public": buffer(&pair.public)})
}

pub(super) fn typed(key: &[u8; 32]) -> Vec<u8> {
    [&CURVE[..], key].concat()
}

/// As `BufferJSON` writes bytes.
pub(super) fn buffer(bytes: &[u8]) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), "Buffer".into());
    object.insert("data".to_owned(), BASE64_STANDARD.encode(bytes).into());
    Value::Object(object)
}

fn written(value: &Value) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(value.to_string().into_bytes())
}
