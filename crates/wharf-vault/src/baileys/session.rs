//! Conversations as the JavaScript libsignal writes them (`SessionRecord` v1), and records of today's libsignal.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use wacore_libsignal::protocol::{
    IdentityKey, LegacyIndexedSessionV1, LegacySessionBaseKeyRoleV1, LegacySessionChainCounterV1,
    LegacySessionChainKeyV1, LegacySessionChainRoleV1, LegacySessionChainV1, LegacySessionDispositionV1,
    LegacySessionIndexV1, LegacySessionKeyPairV1, LegacySessionLocalContext, LegacySessionMessageKeyV1,
    LegacySessionPendingPreKeyV1, LegacySessionRatchetV1, LegacySessionRecordV1, LegacySessionV1, PublicKey,
    SessionRecord,
};
use zeroize::Zeroizing;

use super::bytes as octets;
use crate::credentials::Credentials;
use crate::ordered::Ordered;

/// The one form that there is.
const VERSION: &str = "v1";
/// Chains of one conversation: they are compared with each other. A chain stays when its keys are used up, so that long
/// conversations have many, of which five matter.
const MAX_CHAINS: usize = 2_000;

/// The file. Names are those of the JavaScript.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(rename = "_sessions")]
    sessions: Ordered<Entry>,
    #[serde(default)]
    version: String,
    /// One for all, in files from before version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration_id: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    registration_id: Option<u32>,
    current_ratchet: Ratchet,
    index_info: Index,
    /// From the oldest to the newest.
    #[serde(rename = "_chains")]
    chains: Ordered<Chain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_pre_key: Option<Pending>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ratchet {
    ephemeral_key_pair: Pair,
    last_remote_ephemeral_key: Text,
    previous_counter: i64,
    root_key: Text,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pair {
    pub_key: Text,
    priv_key: Text,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    base_key: Text,
    base_key_type: u32,
    /// Milliseconds since 1970; -1 of the one that goes on.
    closed: i64,
    #[serde(default)]
    used: i64,
    #[serde(default)]
    created: i64,
    remote_identity_key: Text,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chain {
    chain_key: ChainKey,
    chain_type: u32,
    /// Keys of messages that were passed over, by number.
    #[serde(default)]
    message_keys: BTreeMap<u32, Text>,
}

#[derive(Serialize, Deserialize)]
struct ChainKey {
    counter: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Text>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    signed_key_id: u32,
    base_key: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pre_key_id: Option<u32>,
}

/// Bytes in base64.
struct Text(Bytes);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(&self.0))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = octets::read(&Value::deserialize(deserializer)?);
        bytes
            .map(|bytes| Self(bytes.into()))
            .ok_or_else(|| D::Error::custom("no bytes"))
    }
}

fn text(bytes: &Bytes) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn from_text(text: &str) -> Option<Bytes> {
    crate::base64::decode(text.as_bytes()).map(|bytes| Bytes::copy_from_slice(&bytes))
}

/// A record of libsignal; `None` inside when it holds no conversation, `None` when it is not what it should be.
pub(super) fn read(json: &[u8], owner: &Credentials) -> Option<Option<Zeroizing<Vec<u8>>>> {
    let file: File = serde_json::from_slice(json).ok()?;
    if file.sessions.0.is_empty() {
        return Some(None);
    }
    let chains: usize = file.sessions.0.iter().map(|(_, entry)| entry.chains.0.len()).sum();
    if chains > MAX_CHAINS {
        return None;
    }
    let sessions = file.sessions.0.into_iter().map(|(key, entry)| {
        Some(LegacyIndexedSessionV1 {
            index_key: from_text(&key)?,
            session: entry.into_legacy(file.registration_id)?,
        })
    });
    let record = LegacySessionRecordV1::from_indexed_sessions(sessions.collect::<Option<_>>()?).ok()?;
    let identity = PublicKey::from_djb_public_key_bytes(&owner.identity.public).ok()?;
    let local = LegacySessionLocalContext {
        identity_key: IdentityKey::new(identity),
        registration_id: owner.registration_id,
    };
    let record = record.into_session_record(local).ok()?;
    Some(Some(Zeroizing::new(record.serialize().ok()?)))
}

/// The other way. `None` when the JavaScript libsignal has no words for it: message keys without the seed that they were
/// made of.
pub(super) fn write(record: SessionRecord) -> Option<Zeroizing<Vec<u8>>> {
    let record = record.into_legacy_session_v1_operational().ok()?;
    let sessions = record.into_indexed_sessions().into_iter();
    let sessions = sessions.map(|indexed| (text(&indexed.index_key), Entry::from_legacy(indexed.session)));
    let file = File {
        sessions: Ordered(sessions.collect()),
        version: VERSION.to_owned(),
        registration_id: None,
    };
    serde_json::to_vec(&file).ok().map(Zeroizing::new)
}

impl Entry {
    fn into_legacy(self, registration_id: Option<u32>) -> Option<LegacySessionV1> {
        let Ratchet {
            ephemeral_key_pair: pair,
            last_remote_ephemeral_key,
            previous_counter,
            root_key,
        } = self.current_ratchet;
        let index = self.index_info;
        let chains = self.chains.0.into_iter().map(|(key, chain)| chain.into_legacy(&key));
        Some(LegacySessionV1 {
            registration_id: self.registration_id.or(registration_id)?,
            ratchet: LegacySessionRatchetV1 {
                key_pair: LegacySessionKeyPairV1 {
                    public: pair.pub_key.0,
                    private: pair.priv_key.0,
                },
                last_remote_ephemeral_key: last_remote_ephemeral_key.0,
                previous_counter,
                root_key: root_key.0,
            },
            index: LegacySessionIndexV1 {
                base_key: index.base_key.0,
                base_key_role: LegacySessionBaseKeyRoleV1::try_from(index.base_key_type).ok()?,
                disposition: LegacySessionDispositionV1::from_closed_timestamp(index.closed).ok()?,
                // Some programs write times that were never set as -1.
                used_at_ms: u64::try_from(index.used).unwrap_or(0),
                created_at_ms: u64::try_from(index.created).unwrap_or(0),
                remote_identity_key: index.remote_identity_key.0,
            },
            chains: chains.collect::<Option<_>>()?,
            pending_pre_key: self.pending_pre_key.map(|pending| LegacySessionPendingPreKeyV1 {
                pre_key_id: pending.pre_key_id,
                signed_pre_key_id: pending.signed_key_id,
                base_key: pending.base_key.0,
            }),
        })
    }

    fn from_legacy(session: LegacySessionV1) -> Self {
        let LegacySessionV1 {
            registration_id,
            ratchet,
            index,
            chains,
            pending_pre_key,
        } = session;
        let chains = chains
            .into_iter()
            .map(|chain| (text(&chain.ratchet_key), Chain::from_legacy(chain)));
        Self {
            registration_id: Some(registration_id),
            current_ratchet: Ratchet {
                ephemeral_key_pair: Pair {
                    pub_key: Text(ratchet.key_pair.public),
                    priv_key: Text(ratchet.key_pair.private),
                },
                last_remote_ephemeral_key: Text(ratchet.last_remote_ephemeral_key),
                previous_counter: ratchet.previous_counter,
                root_key: Text(ratchet.root_key),
            },
            index_info: Index {
                base_key: Text(index.base_key),
                base_key_type: index.base_key_role.code().unsigned_abs(),
                closed: index.disposition.closed_timestamp(),
                used: i64::try_from(index.used_at_ms).unwrap_or(i64::MAX),
                created: i64::try_from(index.created_at_ms).unwrap_or(i64::MAX),
                remote_identity_key: Text(index.remote_identity_key),
            },
            chains: Ordered(chains.collect()),
            pending_pre_key: pending_pre_key.map(|pending| Pending {
                signed_key_id: pending.signed_pre_key_id,
                base_key: Text(pending.base_key),
                pre_key_id: pending.pre_key_id,
            }),
        }
    }
}

impl Chain {
    fn into_legacy(self, key: &str) -> Option<LegacySessionChainV1> {
        let seeds = self.message_keys.into_iter();
        Some(LegacySessionChainV1 {
            ratchet_key: from_text(key)?,
            role: LegacySessionChainRoleV1::try_from(self.chain_type).ok()?,
            chain_key: LegacySessionChainKeyV1 {
                counter: LegacySessionChainCounterV1::new(self.chain_key.counter).ok()?,
                key: self.chain_key.key.map(|key| key.0),
            },
            message_keys: seeds
                .map(|(index, seed)| LegacySessionMessageKeyV1 { index, seed: seed.0 })
                .collect(),
        })
    }

    fn from_legacy(chain: LegacySessionChainV1) -> Self {
        let seeds = chain.message_keys.into_iter();
        Self {
            chain_key: ChainKey {
                counter: chain.chain_key.counter.value(),
                key: chain.chain_key.key.map(Text),
            },
            chain_type: chain.role.code().unsigned_abs(),
            message_keys: seeds.map(|key| (key.index, Text(key.seed))).collect(),
        }
    }
}
