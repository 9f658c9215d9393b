//! App state as a phone writes it: patches on top of what its companions wrote (protocol brief, section 10).

use std::collections::{BTreeMap, HashMap};

use buffa::{Message as _, MessageField};
use bytes::Bytes;
use rand::RngExt as _;
use rand::rngs::StdRng;
use wacore::download::MediaType;
use wacore_appstate::expand_app_state_keys;
use wacore_appstate::hash::{HashState, generate_patch_mac};
use waproto::whatsapp::sync_action_value::{NctSaltSyncAction, PushNameSetting};
use waproto::whatsapp::syncd_mutation::SyncdOperation;
use waproto::whatsapp::{
    ExternalBlobReference, KeyId, SyncActionValue, SyncdMutation, SyncdPatch, SyncdRecord, SyncdSnapshot, SyncdVersion,
};

use super::files;
use super::identity::PhoneKeys;
use crate::clock::unix_seconds;
use crate::error::SandboxError;
use crate::network::Network;
use crate::network::account::Account;
use crate::network::records;
use crate::server::notifications;
use crate::store::Kind;

/// The collection a companion waits for before it is ready.
pub(crate) const CRITICAL_COLLECTION: &str = "critical_block";
/// Where the salt of privacy tokens is.
pub(crate) const SALT_COLLECTION: &str = "regular_high";
/// Bytes of the code at the end of every value.
const VALUE_MAC: usize = 32;

/// One value and the index it goes under, which is a list in JSON.
#[derive(Debug)]
pub(crate) struct Entry {
    index: &'static [u8],
    value: SyncActionValue,
}

impl Entry {
    /// What the account calls itself. A companion has its own name from there.
    pub(crate) fn push_name(name: &str) -> Self {
        let setting = PushNameSetting {
            name: Some(name.to_owned()),
        };
        let value = SyncActionValue {
            push_name_setting: MessageField::some(setting),
            ..Default::default()
        };
        Self::now(b"[\"setting_pushName\"]", value)
    }

    /// The salt that tokens for strangers are made with.
    pub(crate) fn salt(salt: &[u8]) -> Self {
        let action = NctSaltSyncAction {
            salt: Some(salt.to_vec()),
        };
        let value = SyncActionValue {
            nct_salt_sync_action: MessageField::some(action),
            ..Default::default()
        };
        Self::now(b"[\"nct_salt_sync\"]", value)
    }

    fn now(index: &'static [u8], value: SyncActionValue) -> Self {
        let timestamp = i64::try_from(unix_seconds()).ok();
        Self {
            index,
            value: SyncActionValue { timestamp, ..value },
        }
    }
}

/// Writes a value into a collection of the account, whose companions hear of it.
pub(crate) fn write(network: &Network, account: &Account, collection: &str, entry: &Entry) {
    let mut rng = network.rng();
    let version = {
        let mut state = account.state();
        let patches = state.collections.entry(collection.to_owned()).or_default();
        let patch = Bytes::from(next_patch(&account.keys, collection, patches, entry, &mut rng));
        patches.push(patch.clone());
        let version = patches.len();
        let mut batch = network.store.batch();
        let key = || records::patch_key(&account.number, collection, version);
        batch.put(Kind::Patch, key, || patch.to_vec());
        network.store.submit(batch);
        version
    };
    notifications::collection_moved(network, account, 0, collection, version);
}

/// The next patch of a collection, sealed with the phone's key. O(mutations so far).
pub(crate) fn next_patch(
    keys: &PhoneKeys,
    collection: &str,
    before: &[Bytes],
    entry: &Entry,
    rng: &mut StdRng,
) -> Vec<u8> {
    let expanded = expand_app_state_keys(&keys.sync_key);
    let iv = rng.random();
    let (mutation, _mac) = wacore_appstate::encode_record(
        SyncdOperation::SET,
        entry.index,
        &entry.value,
        &expanded,
        &keys.sync_key_id,
        &iv,
        1,
    );
    let mut sum = Sum::of(before);
    sum.add(std::slice::from_ref(&mutation));
    let version = sum.hash.version;
    let snapshot_mac = sum.hash.generate_snapshot_mac(collection, &expanded.snapshot_mac);
    let mut patch = SyncdPatch {
        version: MessageField::some(SyncdVersion { version: Some(version) }),
        mutations: vec![mutation],
        snapshot_mac: Some(snapshot_mac),
        key_id: MessageField::some(KeyId {
            id: Some(keys.sync_key_id.to_vec()),
        }),
        ..Default::default()
    };
    let patch_mac = generate_patch_mac(&patch, collection, &expanded.patch_mac, version);
    patch.patch_mac = Some(patch_mac);
    patch.encode_to_vec()
}

/// All that a collection holds, in one piece, put where companions fetch it; what tells them where and under which key.
/// O(mutations so far).
pub(crate) fn snapshot(
    network: &Network,
    account: &Account,
    collection: &str,
    patches: &[Bytes],
) -> Result<Vec<u8>, SandboxError> {
    let expanded = expand_app_state_keys(&account.keys.sync_key);
    let sum = Sum::of(patches);
    let whole = SyncdSnapshot {
        version: MessageField::some(SyncdVersion {
            version: Some(sum.hash.version),
        }),
        mac: Some(sum.hash.generate_snapshot_mac(collection, &expanded.snapshot_mac)),
        key_id: MessageField::some(KeyId {
            id: Some(account.keys.sync_key_id.to_vec()),
        }),
        records: sum.records.into_values().collect(),
    };
    let bytes = whole.encode_to_vec();
    let file = files::put(network, &bytes, MediaType::AppState, &mut network.rng())?;
    let reference = ExternalBlobReference {
        media_key: Some(file.sealed.media_key.to_vec()),
        direct_path: Some(file.path),
        file_size_bytes: u64::try_from(bytes.len()).ok(),
        file_sha256: Some(file.sealed.file_sha256.to_vec()),
        file_enc_sha256: Some(file.sealed.file_enc_sha256.to_vec()),
        ..Default::default()
    };
    Ok(reference.encode_to_vec())
}

/// The hash over a collection, which says that two devices hold the same.
#[derive(Debug, Default)]
struct Sum {
    hash: HashState,
    /// The code of the value under each index; both are sealed.
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// What is under each index now.
    records: BTreeMap<Vec<u8>, SyncdRecord>,
}

impl Sum {
    /// What cannot be read adds nothing: a companion took it for a patch, and will say so itself.
    fn of(patches: &[Bytes]) -> Self {
        let mut sum = Self::default();
        for patch in patches {
            sum.add(&SyncdPatch::decode_from_slice(patch).unwrap_or_default().mutations);
        }
        sum
    }

    fn add(&mut self, mutations: &[SyncdMutation]) {
        let values = &self.values;
        let (_, added) = self
            .hash
            .update_hash(mutations, |index, _| Ok(values.get(index).cloned()));
        if let Err(failure) = added {
            tracing::debug!(error = %failure, "a patch of a companion cannot be added up");
        }
        for mutation in mutations {
            self.remember(mutation);
        }
        self.hash.version += 1;
    }

    fn remember(&mut self, mutation: &SyncdMutation) {
        let Some(index) = mutation.record.index.blob.clone() else {
            return;
        };
        let value = mutation.record.value.blob.as_deref().unwrap_or_default();
        let set = mutation
            .operation
            .is_none_or(|operation| operation == SyncdOperation::SET);
        match value.len().checked_sub(VALUE_MAC) {
            Some(mac) if set => {
                self.records.insert(index.clone(), (*mutation.record).clone());
                self.values.insert(index, value[mac..].to_vec());
            }
            _ => {
                self.records.remove(&index);
                self.values.remove(&index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::SeedableRng as _;

    use super::*;

    /// What a companion checks after every patch, done by the engine's own code.
    fn check(keys: &PhoneKeys, patches: &[Bytes]) -> HashState {
        let expanded = Arc::new(expand_app_state_keys(&keys.sync_key));
        let mut values: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        let mut state = HashState::default();
        for bytes in patches {
            let patch = SyncdPatch::decode_from_slice(bytes).unwrap();
            let processed = wacore_appstate::process_patch(
                &patch,
                &mut state,
                |_| Ok(Arc::clone(&expanded)),
                |index| Ok(values.get(index).cloned()),
                true,
                "regular_high",
            )
            .unwrap();
            for added in processed.added_macs {
                values.insert(added.index_mac, added.value_mac);
            }
        }
        state
    }

    /// Three patches; the last one replaces a value of the first.
    fn written() -> (PhoneKeys, Vec<Bytes>) {
        let mut rng = StdRng::seed_from_u64(7);
        let keys = PhoneKeys::generate(&mut rng).unwrap();
        let mut patches: Vec<Bytes> = Vec::new();
        for entry in [Entry::salt(&[1; 32]), Entry::push_name("Ann"), Entry::salt(&[2; 32])] {
            let next = next_patch(&keys, "regular_high", &patches, &entry, &mut rng);
            patches.push(next.into());
        }
        (keys, patches)
    }

    #[test]
    fn companions_can_check_every_patch_also_when_a_value_is_replaced() {
        let (keys, patches) = written();
        let state = check(&keys, &patches);
        assert_eq!((state.version, state.mac_mismatch_fatal), (3, false));
    }

    #[test]
    fn a_snapshot_holds_what_the_patches_come_to() {
        let (_, patches) = written();
        let sum = Sum::of(&patches);
        let mut from_records = HashState::default();
        let records: Vec<SyncdRecord> = sum.records.into_values().collect();
        from_records.update_hash_from_records(&records);
        assert_eq!((records.len(), from_records.hash), (2, sum.hash.hash));
    }
}
